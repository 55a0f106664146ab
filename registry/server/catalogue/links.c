#include "server/catalogue/links.h"

#include <string.h>

#include "server/catalogue/rowsum.h"

#define BATCH 8 /* digests that are asked for at once */

gint64 links_blob(Connection *connection, const IngotDigest *digest, GError **error)
{
    gint64 id;
    return database_number(connection, &id, 0, error, "SELECT id FROM blobs WHERE digest=?", "d", digest) ? id : -1;
}

/* Whether the row's columns `at` and behind are a repository, a blob, and their sum. */
static gboolean link_is_whole(sqlite3_stmt *row, int at)
{
    return sqlite3_column_int64(row, at + 2) ==
           row_sum("ii", sqlite3_column_int64(row, at), sqlite3_column_int64(row, at + 1));
}

gboolean links_find(Connection *connection, const char *name, const IngotDigest *digest, gint64 *repository,
                    gint64 *blob, GError **error)
{
    g_autoptr(sqlite3_stmt) row =
        database_query(connection,
                       "SELECT links.repository, links.blob, links.sum FROM repositories JOIN blobs JOIN links ON"
                       " links.repository=repositories.id AND links.blob=blobs.id WHERE repositories.name=? AND"
                       " blobs.digest=?",
                       "td", name, digest);
    GError *problem = NULL;
    gboolean found = database_step(row, &problem) && link_is_whole(row, 0);
    *repository = found ? sqlite3_column_int64(row, 0) : 0;
    *blob = found ? sqlite3_column_int64(row, 1) : 0;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

static gboolean find_batch(Connection *connection, gint64 repository, const IngotDigest *digests, guint count,
                           gint64 *sizes, GError **error)
{
    const IngotDigest *of[BATCH]; /* the last stands for those that are not */
    for (guint i = 0; i < BATCH; i++) {
        of[i] = &digests[MIN(i, count - 1)];
    }
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT links.repository, links.blob, links.sum, digest, size FROM blobs JOIN links ON"
                       " links.blob=blobs.id WHERE links.repository=? AND digest IN (?, ?, ?, ?, ?, ?, ?, ?)",
                       "idddddddd", repository, of[0], of[1], of[2], of[3], of[4], of[5], of[6], of[7]);
    while (database_step(rows, &problem)) {
        IngotDigest digest;
        gboolean whole = link_is_whole(rows, 0) && database_digest(rows, 3, &digest);
        for (guint i = 0; whole && i < count; i++) {
            if (ingot_digest_equal(&digest, &digests[i])) {
                sizes[i] = sqlite3_column_int64(rows, 4);
            }
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean links_sizes(Connection *connection, gint64 repository, const IngotDigest *digests, guint count, gint64 *sizes,
                     GError **error)
{
    for (guint i = 0; i < count; i++) {
        sizes[i] = -1;
    }
    for (guint i = 0; i < count; i += BATCH) {
        if (!find_batch(connection, repository, digests + i, MIN(BATCH, count - i), sizes + i, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean links_add(Connection *connection, gint64 repository, gint64 blob, gint64 made, gboolean *added, GError **error)
{
    gint64 sum = row_sum("ii", repository, blob), there;
    if (!database_number(connection, &there, 0, error,
                         "SELECT count(*) FROM links WHERE repository=? AND blob=? AND sum=?", "iii", repository, blob,
                         sum)) {
        return FALSE;
    }
    if (added != NULL) {
        *added = there == 0;
    }
    return database_run(connection, error,
                        "INSERT INTO links (repository, blob, made, sum) VALUES (?, ?, ?, ?) ON CONFLICT (repository,"
                        " blob) DO UPDATE SET made=excluded.made, sum=excluded.sum",
                        "iiii", repository, blob, made, sum);
}

gboolean links_renew(Connection *connection, const char *name, const IngotDigest *digest, gint64 made, GError **error)
{
    return database_run(connection, error,
                        "UPDATE links SET made=?3 WHERE repository=(SELECT id FROM repositories WHERE name=?1) AND"
                        " blob=(SELECT id FROM blobs WHERE digest=?2) AND made<?3",
                        "tdi", name, digest, made);
}

gboolean links_made(Connection *connection, const char *name, const IngotDigest *digest, gint64 *made, GError **error)
{
    return database_number(connection, made, 0, error,
                           "SELECT made FROM links WHERE repository=(SELECT id FROM repositories WHERE name=?) AND"
                           " blob=(SELECT id FROM blobs WHERE digest=?)",
                           "td", name, digest);
}

gboolean links_drop(Connection *connection, gint64 repository, gint64 blob, GError **error)
{
    return database_run(connection, error, "DELETE FROM links WHERE repository=? AND blob=?", "ii", repository, blob);
}

gboolean links_bytes(Connection *connection, gint64 repository, gint64 blob, guint64 *bytes, GError **error)
{
    gint64 used;
    gboolean ok = database_number(connection, &used, 0, error,
                                  "SELECT coalesce(sum(size), 0) FROM blobs WHERE id=? OR id IN (SELECT blob FROM links"
                                  " WHERE repository=?)",
                                  "ii", blob, repository);
    *bytes = (guint64)used;
    return ok;
}

char **links_holders(Connection *connection, const IngotDigest *digest, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT links.repository, links.blob, links.sum, name, repositories.sum FROM blobs JOIN links ON"
                       " links.blob=blobs.id JOIN repositories ON repositories.id=links.repository WHERE digest=?"
                       " ORDER BY name",
                       "d", digest);
    while (database_step(rows, &problem)) {
        const char *name = (const char *)sqlite3_column_text(rows, 3);
        if (link_is_whole(rows, 0) &&
            sqlite3_column_int64(rows, 4) == row_sum("it", sqlite3_column_int64(rows, 0), name)) {
            g_strv_builder_add(all, name);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(all);
}

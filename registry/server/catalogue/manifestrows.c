#include "server/catalogue/manifestrows.h"

#include "server/catalogue/rowsum.h"

/* Whether the row's columns `at` and behind are a manifest: repository, blob, type, subject, sum. */
static gboolean manifest_is_whole(sqlite3_stmt *row, int at)
{
    IngotDigest subject;
    gboolean attached = database_digest(row, at + 3, &subject);
    return sqlite3_column_int64(row, at + 4) ==
           row_sum("iitd", sqlite3_column_int64(row, at), sqlite3_column_int64(row, at + 1),
                   (const char *)sqlite3_column_text(row, at + 2), attached ? &subject : NULL);
}

gboolean manifest_rows_put(Connection *connection, gint64 repository, gint64 blob, const char *type,
                           const IngotDigest *subject, gint64 made, gboolean *changed, GError **error)
{
    gint64 sum = row_sum("iitd", repository, blob, type, subject), there;
    if (!database_number(connection, &there, 0, error,
                         "SELECT count(*) FROM manifests WHERE repository=? AND blob=? AND sum=?", "iii", repository,
                         blob, sum)) {
        return FALSE;
    }
    *changed = there == 0;
    return !*changed ||
           database_run(connection, error,
                        "INSERT INTO manifests (repository, blob, type, subject, made, sum) VALUES (?, ?, ?, ?, ?, ?)"
                        " ON CONFLICT (repository, blob) DO UPDATE SET type=excluded.type, subject=excluded.subject,"
                        " sum=excluded.sum",
                        "iitdii", repository, blob, type, subject, made, sum);
}

gboolean manifest_rows_type(Connection *connection, const char *name, const IngotDigest *digest, char **type,
                            GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) row =
        database_query(connection,
                       "SELECT manifests.repository, manifests.blob, type, subject, manifests.sum FROM repositories"
                       " JOIN blobs JOIN manifests ON manifests.repository=repositories.id AND manifests.blob=blobs.id"
                       " WHERE repositories.name=? AND blobs.digest=?",
                       "td", name, digest);
    *type = database_step(row, &problem) && manifest_is_whole(row, 0) ? database_text(row, 2) : NULL;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean manifest_rows_any(Connection *connection, const char *name, gboolean *any, GError **error)
{
    gint64 found;
    gboolean ok = database_number(connection, &found, 0, error,
                                  "SELECT 1 FROM manifests JOIN repositories ON id=manifests.repository WHERE name=?"
                                  " LIMIT 1",
                                  "t", name);
    *any = found > 0;
    return ok;
}

gboolean manifest_rows_has(Connection *connection, gint64 repository, gint64 blob, gboolean *has, GError **error)
{
    gint64 found;
    gboolean ok =
        database_number(connection, &found, 0, error, "SELECT count(*) FROM manifests WHERE repository=? AND blob=?",
                        "ii", repository, blob);
    *has = found > 0;
    return ok;
}

gboolean manifest_rows_drop(Connection *connection, gint64 repository, gint64 blob, GError **error)
{
    return database_run(connection, error, "DELETE FROM mentions WHERE repository=? AND manifest=?", "ii", repository,
                        blob) &&
           database_run(connection, error, "DELETE FROM manifests WHERE repository=? AND blob=?", "ii", repository,
                        blob);
}

gboolean manifest_rows_mention(Connection *connection, gint64 repository, gint64 manifest, const IngotDigest *digest,
                               GError **error)
{
    return database_run(connection, error,
                        "INSERT INTO mentions (repository, manifest, digest) VALUES (?, ?, ?) ON CONFLICT (repository,"
                        " manifest, digest) DO NOTHING",
                        "iid", repository, manifest, digest);
}

char **manifest_rows_referrers(Connection *connection, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT manifests.repository, manifests.blob, type, subject, manifests.sum, digest FROM"
                       " repositories JOIN manifests ON manifests.repository=repositories.id JOIN blobs ON"
                       " blobs.id=manifests.blob WHERE repositories.name=? AND subject=? ORDER BY digest",
                       "td", name, subject);
    while (database_step(rows, &problem)) {
        char text[INGOT_DIGEST_TEXT_SIZE];
        IngotDigest digest;
        if (manifest_is_whole(rows, 0) && database_digest(rows, 5, &digest)) {
            ingot_digest_write_text(&digest, text);
            g_strv_builder_add(all, text);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(all);
}

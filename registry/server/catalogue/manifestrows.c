#include "server/catalogue/manifestrows.h"

#include <ingot/error.h>

#include "server/catalogue/aliasrows.h"
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

static gint64 artifact_sum(gint64 repository, gint64 blob, const char *artifact)
{
    return row_sum("iit", repository, blob, artifact);
}

static gboolean artifact_set(Connection *connection, gint64 repository, gint64 blob, const char *artifact,
                             GError **error)
{
    return database_run(connection, error,
                        "UPDATE manifests SET artifact=?1, artifact_sum=?2 WHERE repository=?3 AND blob=?4 AND"
                        " (artifact IS NULL OR artifact<>?1 OR artifact_sum<>?2)",
                        "tiii", artifact, artifact_sum(repository, blob, artifact), repository, blob);
}

gboolean manifest_rows_put(Connection *connection, gint64 repository, gint64 blob, const char *type,
                           const IngotDigest *subject, const char *artifact, gint64 made, gboolean *changed,
                           GError **error)
{
    gint64 sum = row_sum("iitd", repository, blob, type, subject), there;
    if (!database_number(connection, &there, 0, error,
                         "SELECT count(*) FROM manifests WHERE repository=? AND blob=? AND type=? AND subject IS NOT"
                         " DISTINCT FROM ? AND sum=?",
                         "iitdi", repository, blob, type, subject, sum)) {
        return FALSE;
    }
    *changed = there == 0;
    return (!*changed ||
            database_run(connection, error,
                         "INSERT INTO manifests (repository, blob, type, subject, made, sum) VALUES (?, ?, ?, ?, ?, ?)"
                         " ON CONFLICT (repository, blob) DO UPDATE SET type=excluded.type, subject=excluded.subject,"
                         " sum=excluded.sum",
                         "iitdii", repository, blob, type, subject, made, sum)) &&
           (artifact == NULL || artifact_set(connection, repository, blob, artifact, error));
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

/* --- what is attached to a subject --- */

/* All that a subject is named by: two digests, or one of them twice. */
static gboolean subject_names(Connection *connection, const IngotDigest *subject, IngotDigest names[2], GError **error)
{
    OciDigest alias = {.key = *subject, .is_sha512 = TRUE};
    gboolean found;
    names[0] = *subject;
    if (!alias_rows_resolve(connection, &alias, &names[1], error)) {
        return FALSE;
    }
    if (!ingot_digest_equal(&names[0], &names[1])) {
        return TRUE;
    }
    if (!alias_rows_find(connection, subject, &alias, &found, error)) {
        return FALSE;
    }
    names[1] = found ? alias.key : *subject;
    return TRUE;
}

/* The row's columns: repository, blob, type, subject, sum, artifact, artifact_sum, digest. */
static gboolean referrer_is_whole(sqlite3_stmt *row, IngotDigest *digest)
{
    return manifest_is_whole(row, 0) && database_digest(row, 7, digest) && sqlite3_column_type(row, 5) != SQLITE_NULL &&
           sqlite3_column_int64(row, 6) == artifact_sum(sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
                                                        (const char *)sqlite3_column_text(row, 5));
}

/* The same columns, then size, and an alias. */
static gboolean referrer_take(sqlite3_stmt *row, ReferrerRowFunc func, gpointer user)
{
    OciDigest alias;
    IngotDigest known;
    ReferrerRow found = {.type = (const char *)sqlite3_column_text(row, 2),
                         .artifact = (const char *)sqlite3_column_text(row, 5),
                         .size = (guint64)sqlite3_column_int64(row, 8)};
    found.alias = sqlite3_column_type(row, 9) != SQLITE_NULL && alias_row_read(row, 9, &alias, &known) ? &alias : NULL;
    gboolean whole = referrer_is_whole(row, &found.digest);
    if (whole) {
        func(&found, user);
    }
    return whole;
}

gboolean manifest_rows_referrers(Connection *connection, const char *name, const IngotDigest *subject,
                                 const char *artifact, const IngotDigest *after, guint most, ReferrerRowFunc func,
                                 gpointer user, GError **error)
{
    IngotDigest names[2];
    GError *problem = NULL;
    if (!subject_names(connection, subject, names, error)) {
        return FALSE;
    }
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT manifests.repository, manifests.blob, type, subject, manifests.sum, artifact, artifact_sum,"
        " blobs.digest, size, key, sha512, aliases.digest, aliases.sum FROM repositories JOIN manifests ON"
        " manifests.repository=repositories.id JOIN blobs ON blobs.id=manifests.blob LEFT JOIN aliases ON"
        " aliases.digest=blobs.digest WHERE repositories.name=?1 AND subject IN (?2, ?3) AND artifact IS NOT NULL AND"
        " (?4 IS NULL OR artifact=?4) AND (?5 IS NULL OR blobs.digest>?5) ORDER BY blobs.digest",
        "tddtd", name, &names[0], &names[1], artifact, after);
    for (guint count = 0; count < most && database_step(rows, &problem);) {
        count += referrer_take(rows, func, user) ? 1 : 0;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* The row's columns are those of referrer_is_whole. */
static gboolean referrers_damaged(sqlite3_stmt *row, GError **error)
{
    IngotDigest digest;
    g_autofree char *text = database_digest(row, 7, &digest) ? ingot_digest_to_text(&digest) : NULL;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "%s is attached to it, and is damaged, or its row in the catalogue is: `ingotd rebuild` makes the row"
                " again, another push both",
                text == NULL ? "something" : text);
    return FALSE;
}

gboolean manifest_rows_check_referrers(Connection *connection, const char *name, const IngotDigest *subject,
                                       GError **error)
{
    IngotDigest names[2], digest;
    GError *problem = NULL;
    gboolean whole;
    if (!subject_names(connection, subject, names, error) ||
        !alias_rows_are_whole(connection, subject, &whole, error)) {
        return FALSE;
    }
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT manifests.repository, manifests.blob, type, subject, manifests.sum, artifact, artifact_sum,"
        " blobs.digest FROM repositories JOIN manifests ON manifests.repository=repositories.id LEFT JOIN blobs ON"
        " blobs.id=manifests.blob WHERE repositories.name=? AND subject IN (?, ?)",
        "tdd", name, &names[0], &names[1]);
    while (whole && database_step(rows, &problem)) {
        whole = referrer_is_whole(rows, &digest);
    }
    if (problem == NULL && !whole) {
        return referrers_damaged(rows, error);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

GArray *manifest_rows_unsorted(Connection *connection, const char *name, const IngotDigest *subject, GError **error)
{
    IngotDigest names[2], digest;
    GError *problem = NULL;
    if (!subject_names(connection, subject, names, error)) {
        return NULL;
    }
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT digest FROM repositories JOIN manifests ON manifests.repository=repositories.id JOIN blobs ON"
        " blobs.id=manifests.blob WHERE repositories.name=? AND subject IN (?, ?) AND artifact IS NULL",
        "tdd", name, &names[0], &names[1]);
    while (database_step(rows, &problem)) {
        if (database_digest(rows, 0, &digest)) {
            g_array_append_val(list, digest);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

gboolean manifest_rows_sort(Connection *connection, const char *name, const IngotDigest *digest, const char *artifact,
                            GError **error)
{
    gint64 repository, blob;
    return database_number(connection, &repository, 0, error, "SELECT id FROM repositories WHERE name=?", "t", name) &&
           database_number(connection, &blob, 0, error, "SELECT id FROM blobs WHERE digest=?", "d", digest) &&
           artifact_set(connection, repository, blob, artifact, error);
}

#include "server/catalogue/aliasrows.h"

#include "server/catalogue/rowsum.h"

static gint64 alias_sum(const OciDigest *alias, const IngotDigest *digest)
{
    return row_sum("dbd", &alias->key, alias->sha512, (gsize)SHA512_SIZE, digest);
}

gboolean alias_row_read(sqlite3_stmt *row, int at, OciDigest *alias, IngotDigest *digest)
{
    IngotDigest key;
    *alias = (OciDigest){.is_sha512 = TRUE};
    if (sqlite3_column_bytes(row, at + 1) != SHA512_SIZE || !database_digest(row, at, &key) ||
        !database_digest(row, at + 2, digest)) {
        return FALSE;
    }
    *alias = oci_digest_from_sha512(sqlite3_column_blob(row, at + 1));
    return ingot_digest_equal(&alias->key, &key) && sqlite3_column_int64(row, at + 3) == alias_sum(alias, digest);
}

/* The one row that a query gives, if it is whole. */
static gboolean alias_take(sqlite3_stmt *row, OciDigest *alias, IngotDigest *digest, gboolean *found, GError **error)
{
    GError *problem = NULL;
    *found = database_step(row, &problem) && alias_row_read(row, 0, alias, digest);
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean alias_rows_resolve(Connection *connection, const OciDigest *named, IngotDigest *digest, GError **error)
{
    OciDigest alias;
    IngotDigest known;
    gboolean found;
    *digest = named->key;
    if (!named->is_sha512) {
        return TRUE;
    }
    g_autoptr(sqlite3_stmt) row =
        database_query(connection, "SELECT key, sha512, digest, sum FROM aliases WHERE key=?", "d", &named->key);
    if (!alias_take(row, &alias, &known, &found, error)) {
        return FALSE;
    }
    if (found) {
        *digest = known;
    }
    return TRUE;
}

gboolean alias_rows_find(Connection *connection, const IngotDigest *digest, OciDigest *alias, gboolean *found,
                         GError **error)
{
    IngotDigest known;
    g_autoptr(sqlite3_stmt) row =
        database_query(connection, "SELECT key, sha512, digest, sum FROM aliases WHERE digest=?", "d", digest);
    return alias_take(row, alias, &known, found, error);
}

gboolean alias_rows_are_whole(Connection *connection, const IngotDigest *digest, gboolean *whole, GError **error)
{
    OciDigest alias;
    IngotDigest known;
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT key, sha512, digest, sum FROM aliases WHERE digest=?1 OR key=?1", "d", digest);
    *whole = TRUE;
    while (database_step(rows, &problem)) {
        *whole = alias_row_read(rows, 0, &alias, &known) && *whole;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* What was mentioned before it came. */
static gboolean mentions_resolve(Connection *connection, const OciDigest *alias, const IngotDigest *digest,
                                 GError **error)
{
    return database_run(connection, error,
                        "INSERT INTO mentions (repository, manifest, digest) SELECT repository, manifest, CAST(? AS"
                        " BLOB) FROM mentions WHERE digest=? ON CONFLICT (repository, manifest, digest) DO NOTHING",
                        "dd", digest, &alias->key) &&
           database_run(connection, error, "DELETE FROM mentions WHERE digest=?", "d", &alias->key);
}

gboolean alias_rows_add(Connection *connection, const OciDigest *alias, const IngotDigest *digest, gboolean *added,
                        GError **error)
{
    gint64 there;
    if (!database_number(connection, &there, 0, error,
                         "SELECT count(*) FROM aliases WHERE key=? AND sha512=? AND digest=? AND sum=?", "dbdi",
                         &alias->key, alias->sha512, (gsize)SHA512_SIZE, digest, alias_sum(alias, digest))) {
        return FALSE;
    }
    *added = there == 0;
    return !*added ||
           (database_run(connection, error,
                         "INSERT INTO aliases (key, sha512, digest, sum) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO"
                         " UPDATE SET sha512=excluded.sha512, digest=excluded.digest, sum=excluded.sum",
                         "dbdi", &alias->key, alias->sha512, (gsize)SHA512_SIZE, digest, alias_sum(alias, digest)) &&
            mentions_resolve(connection, alias, digest, error));
}

gboolean alias_rows_drop(Connection *connection, const IngotDigest *digest, GError **error)
{
    return database_run(connection, error, "DELETE FROM aliases WHERE digest=?", "d", digest);
}

gboolean alias_rows_each(Connection *connection, AliasFunc func, gpointer user, GError **error)
{
    OciDigest alias;
    IngotDigest digest;
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT key, sha512, aliases.digest, aliases.sum FROM aliases WHERE EXISTS (SELECT 1 FROM blobs"
                       " JOIN links ON links.blob=blobs.id WHERE blobs.digest=aliases.digest) ORDER BY key",
                       "");
    while (database_step(rows, &problem)) {
        if (alias_row_read(rows, 0, &alias, &digest)) {
            func(&alias, &digest, user);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

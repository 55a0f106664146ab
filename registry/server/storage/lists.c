/* Lists of names: tags, repositories, who has a blob, who refers to a manifest. A row whose sum is wrong is in none. */
#include "server/storage/inside.h"

/* The texts of a statement's first column; free with g_strfreev. digests: they are digests. */
static char **collect(sqlite3_stmt *rows, gboolean digests, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        char text[INGOT_DIGEST_TEXT_SIZE];
        IngotDigest digest;
        if (!digests) {
            g_strv_builder_add(all, (const char *)sqlite3_column_text(rows, 0));
        } else if (database_digest(rows, 0, &digest)) {
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

char **storage_tags(Storage *storage, const char *name, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gint64 count;
    if (reader == NULL || !database_number(reader, &count, 0, error,
                                           "SELECT EXISTS (SELECT 1 FROM manifests JOIN repositories ON"
                                           " id=manifests.repository WHERE repositories.name=?)",
                                           "t", name)) {
        return NULL;
    }
    if (count == 0) {
        blob_unknown(error, "the repository");
        return NULL;
    }
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader,
                       "SELECT tags.name FROM tags JOIN repositories ON id=repository WHERE repositories.name=?"
                       " AND tags.sum=row_sum(repository, tags.name, blob) ORDER BY 1",
                       "t", name);
    return collect(rows, FALSE, error);
}

char **storage_repositories(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) rows =
        database_query(reader,
                       "SELECT name FROM repositories WHERE sum=row_sum(id, name) AND EXISTS (SELECT 1 FROM tags WHERE"
                       " repository=id) ORDER BY 1",
                       "");
    return collect(rows, FALSE, error);
}

char **storage_holders(Storage *storage, const IngotDigest *digest, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) rows = database_query(
        reader,
        "SELECT name FROM blobs JOIN links ON links.blob=blobs.id JOIN repositories ON repositories.id=links.repository"
        " WHERE digest=? AND links.sum=row_sum(links.repository, links.blob) AND"
        " repositories.sum=row_sum(repositories.id, name) ORDER BY 1",
        "d", digest);
    return collect(rows, FALSE, error);
}

char **storage_referrers(Storage *storage, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    if (reader == NULL) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) rows = database_query(
        reader,
        "SELECT digest FROM repositories JOIN manifests ON manifests.repository=repositories.id JOIN blobs ON"
        " blobs.id=manifests.blob WHERE repositories.name=? AND subject=? AND"
        " manifests.sum=row_sum(manifests.repository, manifests.blob, type, subject) ORDER BY 1",
        "td", name, subject);
    return collect(rows, TRUE, error);
}

void storage_tag_history(Storage *storage, const char *name, const char *tag, GHashTable *digests)
{
    IngotDigest digest;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, NULL);
    g_autoptr(sqlite3_stmt) rows =
        reader == NULL ? NULL
                       : database_query(reader,
                                        "SELECT digest FROM history JOIN repositories ON id=repository WHERE"
                                        " repositories.name=? AND history.name=?",
                                        "tt", name, tag);
    while (rows != NULL && database_step(rows, NULL)) {
        if (database_digest(rows, 0, &digest)) {
            g_hash_table_add(digests, g_memdup2(&digest, sizeof digest));
        }
    }
}

#include "server/catalogue/tags.h"

#include "server/catalogue/rowsum.h"

/* Whether the row's columns `at` and behind are a tag: repository, name, blob, sum. */
static gboolean tag_is_whole(sqlite3_stmt *row, int at)
{
    return sqlite3_column_int64(row, at + 3) == row_sum("iti", sqlite3_column_int64(row, at),
                                                        (const char *)sqlite3_column_text(row, at + 1),
                                                        sqlite3_column_int64(row, at + 2));
}

gboolean tags_find(Connection *connection, const char *name, const char *tag, Tag *row, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT tags.repository, tags.name, tags.blob, tags.sum, digest, cached, tags.sha512 FROM"
                       " repositories JOIN tags ON tags.repository=repositories.id JOIN blobs ON blobs.id=tags.blob"
                       " WHERE repositories.name=? AND tags.name=?",
                       "tt", name, tag);
    *row = (Tag){0};
    row->found = database_step(rows, &problem) && tag_is_whole(rows, 0) && database_digest(rows, 4, &row->digest);
    row->pushed = row->found && sqlite3_column_int64(rows, 5) == 0;
    row->is_sha512 = row->found && sqlite3_column_int64(rows, 6) != 0;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* The names of the rows that are whole; columns as tag_is_whole has them. */
static char **collect_names(sqlite3_stmt *rows, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        if (tag_is_whole(rows, 0)) {
            g_strv_builder_add(all, (const char *)sqlite3_column_text(rows, 1));
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(all);
}

char **tags_list(Connection *connection, const char *name, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT repository, tags.name, blob, tags.sum FROM tags JOIN repositories ON id=repository WHERE"
                       " repositories.name=? ORDER BY tags.name",
                       "t", name);
    return collect_names(rows, error);
}

gboolean tags_page(Connection *connection, const char *name, const char *after, guint most, TagRowFunc func,
                   gpointer user, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT tags.repository, tags.name, tags.blob, tags.sum, digest, tags.made, size, type FROM repositories JOIN"
        " tags ON tags.repository=repositories.id JOIN blobs ON blobs.id=tags.blob JOIN manifests ON"
        " manifests.repository=tags.repository AND manifests.blob=tags.blob WHERE repositories.name=?1 AND (?2 IS NULL"
        " OR lower(tags.name)>lower(?2) OR (lower(tags.name)=lower(?2) AND tags.name>?2)) ORDER BY lower(tags.name),"
        " tags.name",
        "tt", name, after);
    /* No LIMIT: a damaged row does not make a page shorter, which would be the last then. */
    for (guint count = 0; count < most && database_step(rows, &problem);) {
        TagRow row = {.tag = (const char *)sqlite3_column_text(rows, 1),
                      .made = sqlite3_column_int64(rows, 5),
                      .size = (guint64)sqlite3_column_int64(rows, 6),
                      .type = (const char *)sqlite3_column_text(rows, 7)};
        if (tag_is_whole(rows, 0) && database_digest(rows, 4, &row.digest)) {
            func(&row, user);
            count++;
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

char **tags_naming(Connection *connection, gint64 repository, gint64 blob, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT repository, name, blob, sum FROM tags WHERE repository=? AND blob=? ORDER BY name", "ii",
        repository, blob);
    return collect_names(rows, error);
}

char **tags_needing(Connection *connection, gint64 repository, const IngotDigest *digest, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "WITH RECURSIVE needed (digest) AS (SELECT CAST(?2 AS BLOB) UNION SELECT blobs.digest FROM needed JOIN mentions"
        " ON mentions.digest=needed.digest AND mentions.repository=?1 JOIN blobs ON blobs.id=mentions.manifest)"
        " SELECT tags.repository, tags.name, tags.blob, tags.sum FROM needed JOIN blobs ON blobs.digest=needed.digest"
        " JOIN tags ON tags.repository=?1 AND tags.blob=blobs.id ORDER BY tags.name",
        "id", repository, digest);
    return collect_names(rows, error);
}

/* next: what the tag is to name (0: nothing); what it names already is no history. */
static gboolean keep_history(Connection *connection, gint64 repository, const char *tag, gint64 next, gint64 now,
                             GError **error)
{
    return database_run(connection, error,
                        "INSERT INTO history (repository, name, digest, until) SELECT repository, name, digest, ? FROM"
                        " tags JOIN blobs ON blobs.id=blob WHERE repository=? AND name=? AND blob<>?",
                        "iiti", now, repository, tag, next);
}

gboolean tags_set(Connection *connection, gint64 repository, const char *tag, gint64 blob, gboolean cached,
                  gboolean is_sha512, gint64 now, GError **error)
{
    return keep_history(connection, repository, tag, blob, now, error) &&
           database_run(connection, error,
                        "INSERT INTO tags (repository, name, blob, made, sum, cached, sha512) VALUES (?, ?, ?, ?, ?, ?,"
                        " ?) ON CONFLICT (repository, name) DO UPDATE SET blob=excluded.blob, made=excluded.made,"
                        " sum=excluded.sum, cached=excluded.cached, sha512=excluded.sha512",
                        "itiiiii", repository, tag, blob, now, row_sum("iti", repository, tag, blob),
                        cached ? (gint64)1 : (gint64)0, is_sha512 ? (gint64)1 : (gint64)0);
}

gboolean tags_drop(Connection *connection, gint64 repository, const char *tag, gint64 now, gboolean *found,
                   GError **error)
{
    gboolean ok =
        keep_history(connection, repository, tag, 0, now, error) &&
        database_run(connection, error, "DELETE FROM tags WHERE repository=? AND name=?", "it", repository, tag);
    *found = ok && database_changes(connection) > 0;
    return ok;
}

gboolean tags_add_past(Connection *writer, gint64 repository, const char *tag, const IngotDigest *digest, gint64 until,
                       GError **error)
{
    return database_run(writer, error, "INSERT INTO history (repository, name, digest, until) VALUES (?, ?, ?, ?)",
                        "itdi", repository, tag, digest, until);
}

gboolean tags_history(Connection *connection, const char *name, const char *tag, GHashTable *digests, GError **error)
{
    IngotDigest digest;
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT digest FROM history JOIN repositories ON id=repository WHERE repositories.name=? AND"
                       " history.name=?",
                       "tt", name, tag);
    while (database_step(rows, &problem)) {
        if (database_digest(rows, 0, &digest)) {
            g_hash_table_add(digests, g_memdup2(&digest, sizeof digest));
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

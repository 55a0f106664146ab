#include "server/catalogue/holdings.h"

#include <ingot/error.h>
#include <string.h>

#include "server/catalogue/aliasrows.h"
#include "server/catalogue/rowsum.h"

/* --- lists --- */

/* Reads one row into an element; FALSE: the row is damaged. */
typedef gboolean (*HoldingRead)(sqlite3_stmt *row, gint64 repository, gpointer element);

static GArray *holdings_list(sqlite3_stmt *rows, gint64 repository, guint size, HoldingRead read, GDestroyNotify clear,
                             const char *what, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, TRUE, size);
    g_autofree gpointer element = g_malloc0(size);
    GError *problem = NULL;
    g_array_set_clear_func(list, clear);
    while (problem == NULL && database_step(rows, &problem)) {
        memset(element, 0, size);
        gboolean whole = read(rows, repository, element);
        g_array_append_vals(list, element, 1);
        if (!whole) {
            g_set_error(&problem, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the catalogue's row of %s is damaged", what);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

static gboolean read_digest(sqlite3_stmt *row, gint64 repository, gpointer element)
{
    (void)repository;
    return database_digest(row, 0, element);
}

static void repository_clear(gpointer data)
{
    g_free(((HoldingRepository *)data)->name);
}

static gboolean read_repository(sqlite3_stmt *row, gint64 repository, gpointer element)
{
    (void)repository;
    HoldingRepository *one = element;
    one->id = sqlite3_column_int64(row, 0);
    one->name = database_text(row, 1);
    return sqlite3_column_int64(row, 2) == row_sum("it", one->id, one->name);
}

GArray *holdings_repositories(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT id, name, sum FROM repositories WHERE EXISTS (SELECT 1 FROM links WHERE repository=id)"
                       " OR EXISTS (SELECT 1 FROM history WHERE repository=id) ORDER BY name",
                       "");
    return holdings_list(rows, 0, sizeof(HoldingRepository), read_repository, repository_clear, "a repository", error);
}

static void tag_clear(gpointer data)
{
    g_free(((HoldingTag *)data)->name);
}

static gboolean read_tag(sqlite3_stmt *row, gint64 repository, gpointer element)
{
    HoldingTag *tag = element;
    tag->name = database_text(row, 0);
    tag->made = sqlite3_column_int64(row, 2);
    return sqlite3_column_int64(row, 3) == row_sum("iti", repository, tag->name, sqlite3_column_int64(row, 1)) &&
           database_digest(row, 4, &tag->digest);
}

GArray *holdings_tags(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT name, blob, made, tags.sum, digest FROM tags JOIN blobs ON blobs.id=blob WHERE"
                       " repository=? ORDER BY name",
                       "i", repository);
    return holdings_list(rows, repository, sizeof(HoldingTag), read_tag, tag_clear, "a tag", error);
}

/* What the subject is called here, where the manifest names it otherwise. */
static gboolean resolve_subject(sqlite3_stmt *row, HoldingLink *link)
{
    OciDigest alias;
    return sqlite3_column_type(row, 7) == SQLITE_NULL || alias_row_read(row, 7, &alias, &link->subject);
}

static gboolean read_link(sqlite3_stmt *row, gint64 repository, gpointer element)
{
    HoldingLink *link = element;
    link->blob = sqlite3_column_int64(row, 0);
    link->made = sqlite3_column_int64(row, 1);
    link->manifest = sqlite3_column_type(row, 4) != SQLITE_NULL;
    link->attached = database_digest(row, 5, &link->subject);
    return sqlite3_column_int64(row, 2) == row_sum("ii", repository, link->blob) &&
           (!link->manifest || sqlite3_column_int64(row, 6) == row_sum("iitd", repository, link->blob,
                                                                       (const char *)sqlite3_column_text(row, 4),
                                                                       link->attached ? &link->subject : NULL)) &&
           database_digest(row, 3, &link->digest) && resolve_subject(row, link);
}

GArray *holdings_links(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT links.blob, links.made, links.sum, blobs.digest, type, subject, manifests.sum, key, sha512,"
        " aliases.digest, aliases.sum FROM links JOIN blobs ON blobs.id=links.blob LEFT JOIN manifests ON"
        " manifests.repository=links.repository AND manifests.blob=links.blob LEFT JOIN aliases ON key=subject WHERE"
        " links.repository=?",
        "i", repository);
    return holdings_list(rows, repository, sizeof(HoldingLink), read_link, NULL, "a blob of a repository", error);
}

static gboolean read_mention(sqlite3_stmt *row, gint64 repository, gpointer element)
{
    (void)repository;
    HoldingMention *mention = element;
    return database_digest(row, 0, &mention->manifest) && database_digest(row, 1, &mention->digest);
}

GArray *holdings_mentions(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT blobs.digest, mentions.digest FROM mentions JOIN blobs ON blobs.id=manifest WHERE"
                       " repository=?",
                       "i", repository);
    return holdings_list(rows, repository, sizeof(HoldingMention), read_mention, NULL, "a mention", error);
}

static void past_clear(gpointer data)
{
    g_free(((HoldingPast *)data)->tag);
}

static gboolean read_past(sqlite3_stmt *row, gint64 repository, gpointer element)
{
    (void)repository;
    HoldingPast *past = element;
    past->tag = database_text(row, 0);
    past->until = sqlite3_column_int64(row, 2);
    return database_digest(row, 1, &past->digest);
}

GArray *holdings_history(Connection *connection, gint64 repository, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT name, digest, max(until) FROM history WHERE repository=? GROUP BY name, digest", "i",
        repository);
    return holdings_list(rows, repository, sizeof(HoldingPast), read_past, past_clear, "what a tag named", error);
}

/* --- once more --- */

gboolean holdings_is_same(Connection *connection, gint64 repository, const HoldingLink *link, gboolean *same,
                          GError **error)
{
    gint64 count;
    gboolean ok = database_number(connection, &count, 0, error,
                                  "SELECT count(*) FROM links JOIN blobs ON blobs.id=blob WHERE repository=? AND blob=?"
                                  " AND made=? AND digest=?",
                                  "iiid", repository, link->blob, link->made, &link->digest);
    *same = ok && count > 0;
    return ok;
}

gboolean holdings_names(Connection *connection, gint64 repository, gint64 blob, const char *tag, gint64 *count,
                        GError **error)
{
    return tag == NULL
               ? database_number(connection, count, 0, error, "SELECT count(*) FROM tags WHERE repository=? AND blob=?",
                                 "ii", repository, blob)
               : database_number(connection, count, 0, error,
                                 "SELECT count(*) FROM tags WHERE repository=? AND blob=? AND name=?", "iit",
                                 repository, blob, tag);
}

GArray *holdings_mentioners(Connection *connection, gint64 repository, const IngotDigest *digest, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection,
                       "SELECT blobs.digest FROM mentions JOIN blobs ON blobs.id=manifest WHERE repository=? AND"
                       " mentions.digest=?",
                       "id", repository, digest);
    return holdings_list(rows, repository, sizeof(IngotDigest), read_digest, NULL, "a mention", error);
}

gboolean holdings_forget(Connection *connection, gint64 repository, gint64 before, gint64 *count, GError **error)
{
    gboolean ok = database_run(connection, error,
                               "DELETE FROM history WHERE repository=?1 AND until<=?2 AND digest NOT IN (SELECT digest"
                               " FROM manifests JOIN blobs ON blobs.id=blob WHERE repository=?1)",
                               "ii", repository, before);
    *count = ok ? database_changes(connection) : 0;
    return ok;
}

char **holdings_long_histories(Connection *connection, gint64 repository, guint most, GError **error)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT name FROM history WHERE repository=? GROUP BY name HAVING count(*)>?", "ii",
                       repository, (gint64)most);
    while (database_step(rows, &problem)) {
        g_strv_builder_add(names, (const char *)sqlite3_column_text(rows, 0));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(names);
}

gboolean holdings_trim(Connection *connection, gint64 repository, const char *tag, guint most, GError **error)
{
    return database_run(connection, error,
                        "DELETE FROM history WHERE repository=?1 AND name=?2 AND until<(SELECT until FROM history WHERE"
                        " repository=?1 AND name=?2 ORDER BY until DESC LIMIT 1 OFFSET ?3)",
                        "iti", repository, tag, (gint64)most - 1);
}

/* --- blobs of no repository --- */

GArray *holdings_loose(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        "SELECT digest FROM blobs WHERE NOT EXISTS (SELECT 1 FROM links WHERE links.blob=blobs.id) AND NOT"
        " EXISTS (SELECT 1 FROM mentions WHERE mentions.digest=blobs.digest)",
        "");
    return holdings_list(rows, 0, sizeof(IngotDigest), read_digest, NULL, "a blob", error);
}

gboolean holdings_drop_blob(Connection *connection, const IngotDigest *digest, gboolean *dropped, GError **error)
{
    gboolean ok = database_run(connection, error,
                               "DELETE FROM blobs WHERE digest=? AND NOT EXISTS (SELECT 1 FROM links WHERE"
                               " links.blob=blobs.id) AND NOT EXISTS (SELECT 1 FROM mentions WHERE"
                               " mentions.digest=blobs.digest)",
                               "d", digest);
    *dropped = ok && database_changes(connection) > 0;
    return ok && (!*dropped || alias_rows_drop(connection, digest, error));
}

gboolean holdings_holders(Connection *connection, const IngotDigest *digest, gint64 *count, GError **error)
{
    return database_number(connection, count, 0, error,
                           "SELECT count(*) FROM links JOIN blobs ON blobs.id=blob WHERE digest=?", "d", digest);
}

GArray *holdings_measured(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT DISTINCT manifest FROM measures WHERE manifest NOT IN (SELECT digest FROM blobs)", "");
    return holdings_list(rows, 0, sizeof(IngotDigest), read_digest, NULL, "a measure", error);
}

gboolean holdings_drop_measures(Connection *connection, const IngotDigest *digest, GError **error)
{
    return database_run(connection, error,
                        "DELETE FROM measures WHERE manifest=?1 AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest=?1)",
                        "d", digest);
}

#include "server/catalogue/recordrows.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "server/catalogue/rowsum.h"

/* Of what is not a move: NULL. */
static const char *record_row_channel(const RecordRow *row)
{
    const char *channel = json_string_value(json_object_get(row->body, "tag"));
    return strcmp(row->kind, "move") != 0 ? NULL : channel == NULL ? "" : channel;
}

static gboolean record_row_write(Connection *writer, const char *sql, const RecordRow *row, GError **error)
{
    g_autofree char *body = ingot_json_canonical(row->body);
    return database_run(writer, error, sql, "ttttittit", row->kind, row->name, row->key, body, row->at, row->by,
                        row->reason,
                        row_sum("ttttitt", row->kind, row->name, row->key, body, row->at, row->by, row->reason),
                        record_row_channel(row));
}

#define INTO "INTO records (kind, name, key, body, at, by, reason, sum, channel) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
gboolean record_rows_put(Connection *writer, const RecordRow *row, GError **error)
{
    return record_row_write(writer, "INSERT OR REPLACE " INTO, row, error);
}

gboolean record_rows_add(Connection *writer, const RecordRow *row, GError **error)
{
    return record_row_write(writer, "INSERT " INTO, row, error);
}

gboolean record_rows_drop(Connection *writer, const char *kind, const char *name, const char *key, GError **error)
{
    return database_run(writer, error, "DELETE FROM records WHERE kind=? AND name=? AND key=?", "ttt", kind, name, key);
}

/* --- what there is --- */

gboolean record_rows_size(Connection *connection, const char *kind, const char *name, guint64 *bytes, GError **error)
{
    gint64 sum;
    if (!database_number(connection, &sum, 0, error,
                         "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(CAST(body AS BLOB))), 0) FROM records"
                         " WHERE kind=? AND name=?",
                         "tt", kind, name)) {
        return FALSE;
    }
    *bytes = (guint64)sum;
    return TRUE;
}

char **record_rows_names(Connection *connection, const char *kind, GError **error)
{
    GError *problem = NULL;
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT DISTINCT name FROM records WHERE kind=? ORDER BY name", "t", kind);
    while (database_step(rows, &problem)) {
        g_strv_builder_add(names, (const char *)sqlite3_column_text(rows, 0));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_strv_builder_end(names);
}

/* --- reading --- */

static gboolean record_row_damaged(const RecordRow *row, GError **error)
{
    g_autofree char *told = g_strdup_printf("%s %s %s", row->name, row->kind, row->key);
    g_autofree char *line = ingot_text_line(told);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                "the catalogue's record of %s is damaged: `ingotd rebuild` makes it again from the log of events",
                g_strchomp(line));
    return FALSE;
}

/* What goes through rows. */
typedef struct {
    RecordRowWants wants; /* NULL: all of them */
    RecordRowFunc func;
    gpointer user;
} RecordWalk;

/* FALSE: it is damaged. *more: whether the walk goes on. */
static gboolean record_row_give(sqlite3_stmt *row, const RecordWalk *walk, gboolean *more, GError **error)
{
    const char *text = (const char *)sqlite3_column_text(row, 3);
    RecordRow record = {.kind = (const char *)sqlite3_column_text(row, 0),
                        .name = (const char *)sqlite3_column_text(row, 1),
                        .key = (const char *)sqlite3_column_text(row, 2),
                        .at = sqlite3_column_int64(row, 4),
                        .by = (const char *)sqlite3_column_text(row, 5),
                        .reason = (const char *)sqlite3_column_text(row, 6)};
    gboolean whole = sqlite3_column_int64(row, 7) == row_sum_columns(row, 0, 7);
    if (whole && walk->wants != NULL && !walk->wants(record.name, text, walk->user)) {
        *more = TRUE;
        return TRUE;
    }
    g_autoptr(json_t) body = whole ? ingot_json_parse(text, strlen(text), "record", NULL) : NULL;
    if (body == NULL) {
        return record_row_damaged(&record, error);
    }
    record.body = body;
    *more = walk->func(&record, walk->user);
    return TRUE;
}

#define COLUMNS "SELECT kind, name, key, body, at, by, reason, sum FROM records "
/* One statement for each way to ask, so that each has its index. (For its order alone, SQLite would go through all of a
 * kind instead.) */
static sqlite3_stmt *record_rows_query(Connection *connection, const char *kind, const char *name, const char *key)
{
    if (kind == NULL) {
        return database_query(connection,
                              COLUMNS "WHERE (?1 IS NULL OR name=?1) AND (?2 IS NULL OR key=?2) ORDER BY kind, name,"
                                      " key DESC",
                              "tt", name, key);
    }
    if (name == NULL) {
        return key == NULL ? database_query(connection, COLUMNS "WHERE kind=? ORDER BY name, key DESC", "t", kind)
                           : database_query(connection,
                                            COLUMNS "INDEXED BY records_by_key WHERE kind=? AND key=? ORDER BY name",
                                            "tt", kind, key);
    }
    return key == NULL
               ? database_query(connection, COLUMNS "WHERE kind=? AND name=? ORDER BY key DESC", "tt", kind, name)
               : database_query(connection, COLUMNS "WHERE kind=? AND name=? AND key=?", "ttt", kind, name, key);
}

static gboolean record_rows_walk(sqlite3_stmt *rows, const RecordWalk *walk, GError **error)
{
    GError *problem = NULL;
    gboolean more = TRUE;
    while (more && database_step(rows, &problem) && record_row_give(rows, walk, &more, &problem)) {
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

gboolean record_rows_each(Connection *connection, const char *kind, const char *name, const char *key,
                          RecordRowFunc func, gpointer user, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = record_rows_query(connection, kind, name, key);
    return record_rows_walk(rows, &(RecordWalk){.func = func, .user = user}, error);
}

gboolean record_rows_each_wanted(Connection *connection, const char *kind, const char *key, RecordRowWants wants,
                                 RecordRowFunc func, gpointer user, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = record_rows_query(connection, kind, NULL, key);
    return record_rows_walk(rows, &(RecordWalk){wants, func, user}, error);
}

/* Those of which the channel was not looked up yet are looked at one by one; both searches go by the index, and are
 * merged as they go. */
static gboolean record_rows_of_channel(Connection *connection, const char *name, const char *channel, const char *below,
                                       RecordRowFunc func, gpointer user, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection,
        COLUMNS "INDEXED BY moves_by_channel WHERE kind='move' AND name=?1 AND channel=?2 AND key<?3 UNION ALL " COLUMNS
                "INDEXED BY moves_by_channel WHERE kind='move' AND name=?1 AND channel IS NULL AND key<?3 AND"
                " coalesce(CASE WHEN json_valid(body) THEN json_extract(body, '$.tag') END, '')=?2"
                " ORDER BY key DESC",
        "ttt", name, channel, below);
    return record_rows_walk(rows, &(RecordWalk){.func = func, .user = user}, error);
}

gboolean record_rows_each_move(Connection *connection, const char *name, const char *channel, const char *below,
                               RecordRowFunc func, gpointer user, GError **error)
{
    if (channel != NULL) {
        return record_rows_of_channel(connection, name, "", below, func, user, error) &&
               record_rows_of_channel(connection, name, channel, below, func, user, error);
    }
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, COLUMNS "WHERE kind='move' AND name=? AND key<? ORDER BY key DESC", "tt", name, below);
    return record_rows_walk(rows, &(RecordWalk){.func = func, .user = user}, error);
}

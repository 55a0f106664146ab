#include "server/catalogue/piecebits.h"

#include <string.h>

GByteArray *piecebits_new(Connection *connection, GError **error)
{
    gint64 highest;
    if (!database_number(connection, &highest, 0, error, "SELECT max(id) FROM pieces", "")) {
        return NULL;
    }
    GByteArray *bits = g_byte_array_new();
    g_byte_array_set_size(bits, (guint)(highest / 8 + 1));
    memset(bits->data, 0, bits->len);
    return bits;
}

void piecebits_add(GByteArray *bits, sqlite3_stmt *row, int column)
{
    const guint32 *pieces = sqlite3_column_blob(row, column);
    guint count = (guint)sqlite3_column_bytes(row, column) / (guint)sizeof *pieces;
    for (guint i = 0; i < count; i++) {
        piecebits_set(bits, GUINT32_FROM_LE(pieces[i]));
    }
}

static gboolean piecebits_add_repository(Connection *connection, GByteArray *bits, gint64 repository, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT pieces FROM links JOIN blobs ON blobs.id=blob WHERE repository=?", "i", repository);
    while (database_step(rows, &problem)) {
        piecebits_add(bits, rows, 0);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

GByteArray *piecebits_seen(Connection *connection, PiecebitsFilter may_see, gpointer user, GError **error)
{
    g_autoptr(GByteArray) bits = piecebits_new(connection, error);
    if (bits == NULL) {
        return NULL;
    }
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) repositories = database_query(connection, "SELECT id, name FROM repositories", "");
    while (database_step(repositories, &problem)) {
        if (may_see((const char *)sqlite3_column_text(repositories, 1), user) &&
            !piecebits_add_repository(connection, bits, sqlite3_column_int64(repositories, 0), error)) {
            return NULL;
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&bits);
}

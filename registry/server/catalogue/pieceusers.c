#include "server/catalogue/pieceusers.h"

/* The list of pieces that a column of the row holds; *count: how many. */
static const guint32 *row_pieces(sqlite3_stmt *row, int column, guint *count)
{
    const guint32 *pieces = sqlite3_column_blob(row, column);
    *count = (guint)sqlite3_column_bytes(row, column) / (guint)sizeof *pieces;
    return pieces;
}

/* TRUE where the loop that left the problem ended well. */
static gboolean ended_well(GError *problem, GError **error)
{
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* --- holders --- */

static gboolean piece_length(Connection *connection, gint64 piece, guint64 *length, GError **error)
{
    gint64 found;
    gboolean ok = database_number(connection, &found, 0, error, "SELECT length FROM pieces WHERE id=?", "i", piece);
    *length = (guint64)found;
    return ok;
}

/* Adds where the wanted pieces stand in the row's blob, each once. */
static gboolean add_holders(Connection *connection, sqlite3_stmt *row, GHashTable *wanted, GArray *list, GError **error)
{
    guint count, last = 0;
    const guint32 *pieces = row_pieces(row, 3, &count);
    PieceHolder holder = {.blob = sqlite3_column_int64(row, 0), .size = (guint64)sqlite3_column_int64(row, 2)};
    for (guint i = 0; i < count; i++) {
        last = g_hash_table_contains(wanted, GUINT_TO_POINTER(GUINT32_FROM_LE(pieces[i]))) ? i + 1 : last;
    }
    if (last == 0 || !database_digest(row, 1, &holder.digest)) {
        return TRUE;
    }
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < last; i++) {
        guint64 length = 0;
        holder.piece = GUINT32_FROM_LE(pieces[i]);
        gpointer key = GUINT_TO_POINTER((guint)holder.piece);
        if (g_hash_table_contains(wanted, key) && g_hash_table_add(seen, key)) {
            g_array_append_val(list, holder);
        }
        if (i + 1 < last && !piece_length(connection, holder.piece, &length, error)) {
            return FALSE;
        }
        holder.offset += length;
    }
    return TRUE;
}

GArray *pieceusers_holders(Connection *connection, GHashTable *pieces, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(PieceHolder));
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT id, digest, size, pieces FROM blobs", "");
    GError *problem = NULL;
    while (problem == NULL && database_step(rows, &problem)) {
        add_holders(connection, rows, pieces, list, &problem);
    }
    return ended_well(problem, error) ? g_steal_pointer(&list) : NULL;
}

/* --- damage --- */

/* Few pieces are damaged, mostly none: a set of their ids. */
static GHashTable *list_damaged(Connection *connection, GError **error)
{
    g_autoptr(GHashTable) damaged = g_hash_table_new(NULL, NULL);
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT id FROM pieces WHERE damaged", "");
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        g_hash_table_add(damaged, GUINT_TO_POINTER((guint)sqlite3_column_int64(rows, 0)));
    }
    return ended_well(problem, error) ? g_steal_pointer(&damaged) : NULL;
}

static guint count_damaged(sqlite3_stmt *row, GHashTable *damaged)
{
    guint count, found = 0;
    const guint32 *pieces = row_pieces(row, 2, &count);
    for (guint i = 0; i < count; i++) {
        found += g_hash_table_contains(damaged, GUINT_TO_POINTER(GUINT32_FROM_LE(pieces[i])));
    }
    return found;
}

GArray *pieceusers_damaged(Connection *connection, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(DamagedBlob));
    g_autoptr(GHashTable) damaged = list_damaged(connection, error);
    if (damaged == NULL || g_hash_table_size(damaged) == 0) {
        return damaged == NULL ? NULL : g_steal_pointer(&list);
    }
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT id, digest, pieces FROM blobs", "");
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        DamagedBlob blob = {.blob = sqlite3_column_int64(rows, 0), .damaged = count_damaged(rows, damaged)};
        if (blob.damaged > 0 && database_digest(rows, 1, &blob.digest)) {
            g_array_append_val(list, blob);
        }
    }
    return ended_well(problem, error) ? g_steal_pointer(&list) : NULL;
}

/* --- comparing --- */

static gboolean same_piece(Connection *connection, gint64 id, const IngotDigest *digest, gboolean *same, GError **error)
{
    GError *problem = NULL;
    IngotDigest found;
    g_autoptr(sqlite3_stmt) row = database_query(connection, "SELECT digest FROM pieces WHERE id=?", "i", id);
    *same = database_step(row, &problem) && database_digest(row, 0, &found) && ingot_digest_equal(&found, digest);
    return ended_well(problem, error);
}

gboolean pieceusers_same(Connection *connection, const IngotDigest *blob, gint64 pack, guint64 size,
                         const IngotDigest *pieces, guint count, gboolean *same, GError **error)
{
    GError *problem = NULL;
    guint there;
    g_autoptr(sqlite3_stmt) row =
        database_query(connection, "SELECT size, pieces FROM blobs WHERE digest=? AND pack=?", "di", blob, pack);
    *same = TRUE;
    if (!database_step(row, &problem)) {
        return ended_well(problem, error);
    }
    const guint32 *ids = row_pieces(row, 1, &there);
    *same = there == count && (guint64)sqlite3_column_int64(row, 0) == size;
    for (guint i = 0; *same && i < count; i++) {
        if (!same_piece(connection, GUINT32_FROM_LE(ids[i]), &pieces[i], same, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

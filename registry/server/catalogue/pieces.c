#include "server/catalogue/pieces.h"

#include <string.h>

#include "server/catalogue/rowsum.h"

#define AT_ONCE 1024u /* pieces that a statement asks for */

/* Out of columns from `first` on. */
static PieceRow piece_row(sqlite3_stmt *row, int first)
{
    return (PieceRow){.id = sqlite3_column_int64(row, first),
                      .pack = sqlite3_column_int64(row, first + 1),
                      .offset = (guint64)sqlite3_column_int64(row, first + 2),
                      .length = (guint32)sqlite3_column_int64(row, first + 3),
                      .damaged = sqlite3_column_int64(row, first + 4) != 0,
                      .marked = sqlite3_column_type(row, first + 5) != SQLITE_NULL,
                      .mark = sqlite3_column_int64(row, first + 5)};
}

static gboolean find_one(Connection *connection, const IngotDigest *digest, PieceRow *row, GError **error)
{
    GError *problem = NULL;
    g_autoptr(sqlite3_stmt) found = database_query(
        connection, "SELECT id, pack, offset, length, damaged, mark FROM pieces WHERE digest=?", "d", digest);
    if (database_step(found, &problem)) {
        *row = piece_row(found, 0);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* One statement: the digests go in as bytes one after another, and come out by their number. */
static gboolean find_some(Connection *connection, const IngotDigest *const *digests, guint count, PieceRow *rows,
                          GError **error)
{
    GError *problem = NULL;
    g_autofree guint8 *asked = g_malloc((gsize)count * INGOT_DIGEST_SIZE);
    for (guint i = 0; i < count; i++) {
        memcpy(asked + (gsize)i * INGOT_DIGEST_SIZE, digests[i]->bytes, INGOT_DIGEST_SIZE);
    }
    g_autoptr(sqlite3_stmt) found =
        database_query(connection,
                       "WITH RECURSIVE asked (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM asked WHERE i + 1 < ?2)"
                       " SELECT i, id, pack, offset, length, damaged, mark FROM asked CROSS JOIN pieces"
                       " ON digest=substr(?1, i * 32 + 1, 32)",
                       "bi", (const void *)asked, (gsize)count * INGOT_DIGEST_SIZE, (gint64)count);
    while (database_step(found, &problem)) {
        rows[sqlite3_column_int64(found, 0)] = piece_row(found, 1);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

static gboolean find_each(Connection *connection, const IngotDigest *const *digests, guint count, PieceRow *rows,
                          GError **error)
{
    gboolean ok = TRUE;
    memset(rows, 0, count * sizeof *rows);
    for (guint at = 0; ok && at < count; at += AT_ONCE) {
        guint some = MIN(AT_ONCE, count - at);
        ok = some == 1 ? find_one(connection, digests[at], &rows[at], error)
                       : find_some(connection, digests + at, some, rows + at, error);
    }
    return ok;
}

/* One that is named many times is looked up once. */
gboolean pieces_find(Connection *connection, const IngotDigest *const *digests, guint count, PieceRow *rows,
                     GError **error)
{
    g_autoptr(GHashTable) places = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    g_autofree const IngotDigest **different = g_new(const IngotDigest *, count);
    g_autofree PieceRow *found = g_new(PieceRow, count);
    guint some = 0;
    for (guint i = 0; i < count; i++) {
        if (!g_hash_table_contains(places, digests[i])) {
            g_hash_table_insert(places, (gpointer)digests[i], GUINT_TO_POINTER(some));
            different[some++] = digests[i];
        }
    }
    if (!find_each(connection, different, some, found, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        rows[i] = found[GPOINTER_TO_UINT(g_hash_table_lookup(places, digests[i]))];
    }
    return TRUE;
}

gboolean pieces_put(Connection *writer, const IngotDigest *digest, guint32 length, gint64 pack, guint64 offset,
                    GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO pieces (digest, pack, offset, length) VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO"
                        " UPDATE SET pack=excluded.pack, offset=excluded.offset, damaged=0, mark=NULL WHERE"
                        " pieces.damaged<>0 OR pieces.mark IS NOT NULL",
                        "diii", digest, pack, (gint64)offset, (gint64)length);
}

gboolean pieces_put_placeless(Connection *writer, const IngotDigest *digest, guint32 length, gint64 pack,
                              GError **error)
{
    return database_run(writer, error,
                        "INSERT INTO pieces (digest, pack, offset, length, damaged) VALUES (?, ?, 0, ?, 1) ON CONFLICT"
                        " (digest) DO NOTHING",
                        "dii", digest, pack, (gint64)length);
}

gboolean pieces_revive(Connection *writer, gint64 id, GError **error)
{
    return database_run(writer, error, "UPDATE pieces SET mark=NULL WHERE id=?", "i", id);
}

gboolean pieces_add_pack(Connection *writer, gint64 pack, guint64 size, GError **error)
{
    return database_run(writer, error, "INSERT INTO packs (id, size) VALUES (?, ?)", "ii", pack, (gint64)size);
}

gboolean pieces_resize_pack(Connection *writer, gint64 pack, guint64 size, GError **error)
{
    return database_run(writer, error, "UPDATE packs SET size=? WHERE id=?", "ii", (gint64)size, pack);
}

gboolean pieces_add_blob(Connection *writer, const IngotDigest *digest, guint64 size, gint64 pack, const guint32 *ids,
                         guint count, gint64 *blob, GError **error)
{
    gsize bytes = count * sizeof *ids;
    return database_number(writer, blob, 0, error,
                           "INSERT INTO blobs (digest, size, pack, pieces, sum) VALUES (?, ?, ?, ?, ?) RETURNING id",
                           "diibi", digest, (gint64)size, pack, ids, bytes,
                           row_sum("dib", digest, (gint64)size, ids, bytes));
}

gboolean pieces_pack_size(Connection *connection, gint64 pack, guint64 *size, GError **error)
{
    gint64 found;
    gboolean ok = database_number(connection, &found, 0, error, "SELECT size FROM packs WHERE id=?", "i", pack);
    *size = (guint64)found;
    return ok;
}

gboolean pieces_recut_blob(Connection *writer, gint64 blob, const IngotDigest *digest, guint64 size, gint64 pack,
                           const guint32 *ids, guint count, GError **error)
{
    gsize bytes = count * sizeof *ids;
    return database_run(
        writer, error, "UPDATE blobs SET size=?, pack=?, pieces=?, sum=?, starts=NULL, starts_sum=NULL WHERE id=?",
        "iibii", (gint64)size, pack, ids, bytes, row_sum("dib", digest, (gint64)size, ids, bytes), blob);
}

gboolean pieces_has_pack(Connection *connection, gint64 pack, gboolean *known, GError **error)
{
    gint64 count;
    gboolean ok = database_number(connection, &count, 0, error, "SELECT count(*) FROM packs WHERE id=?", "i", pack);
    *known = ok && count > 0;
    return ok;
}

gboolean pieces_count_packs(Connection *connection, guint64 *count, GError **error)
{
    gint64 number;
    gboolean ok = database_number(connection, &number, 0, error, "SELECT count(*) FROM packs", "");
    *count = (guint64)number;
    return ok;
}

gboolean pieces_whole_of(Connection *connection, gint64 pack, guint64 *count, GError **error)
{
    gint64 number;
    gboolean ok = database_number(connection, &number, 0, error,
                                  "SELECT count(*) FROM pieces WHERE pack=? AND damaged=0", "i", pack);
    *count = (guint64)number;
    return ok;
}

#define LOST "2" /* damaged: the whole pack is away */

gboolean pieces_lose_pack(Connection *writer, gint64 pack, GError **error)
{
    return database_run(writer, error, "UPDATE pieces SET damaged=" LOST " WHERE pack=? AND damaged=0", "i", pack);
}

gboolean pieces_find_pack(Connection *writer, gint64 pack, guint64 *count, GError **error)
{
    gboolean ok = database_run(writer, error, "UPDATE pieces SET damaged=0 WHERE pack=? AND damaged=" LOST, "i", pack);
    *count = ok ? (guint64)database_changes(writer) : 0;
    return ok;
}

static GArray *list_numbers(sqlite3_stmt *rows, GError **error)
{
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(gint64));
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        gint64 number = sqlite3_column_int64(rows, 0);
        g_array_append_val(list, number);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

GArray *pieces_list_packs(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT id FROM packs ORDER BY id", "");
    return list_numbers(rows, error);
}

GArray *pieces_lost_packs(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT DISTINCT pack FROM pieces WHERE damaged AND damaged=" LOST " ORDER BY pack", "");
    return list_numbers(rows, error);
}

GArray *pieces_damaged_packs(Connection *connection, GError **error)
{
    g_autoptr(sqlite3_stmt) rows =
        database_query(connection, "SELECT DISTINCT pack FROM pieces WHERE damaged ORDER BY pack", "");
    return list_numbers(rows, error);
}

gboolean pieces_each_of(Connection *connection, gint64 pack, PieceFunc func, gpointer user, GError **error)
{
    g_autoptr(sqlite3_stmt) rows = database_query(
        connection, "SELECT id, offset, length, damaged, digest FROM pieces WHERE pack=? ORDER BY offset", "i", pack);
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        IngotDigest digest;
        const PieceRow row = {.id = sqlite3_column_int64(rows, 0),
                              .pack = pack,
                              .offset = (guint64)sqlite3_column_int64(rows, 1),
                              .length = (guint32)sqlite3_column_int64(rows, 2),
                              .damaged = sqlite3_column_int64(rows, 3) != 0};
        if (!database_digest(rows, 4, &digest)) {
            memset(&digest, 0, sizeof digest); /* of no piece */
        }
        if (!func(&row, &digest, user, error)) {
            return FALSE;
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

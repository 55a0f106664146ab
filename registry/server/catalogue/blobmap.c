#include "server/catalogue/blobmap.h"

#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "server/catalogue/counters.h"
#include "server/catalogue/rowsum.h"

#define BATCH 64u /* pieces that one query asks for */
#define EIGHT "?,?,?,?,?,?,?,?"
#define SIXTY_FOUR EIGHT "," EIGHT "," EIGHT "," EIGHT "," EIGHT "," EIGHT "," EIGHT "," EIGHT

void blobmap_free(BlobMap *map)
{
    if (map != NULL) {
        g_free(map->ids);
        g_free(map->starts);
        g_free(map);
    }
}

static gboolean map_corrupt(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the catalogue's entry of a blob is damaged");
    return FALSE;
}

static gboolean map_unknown(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the blob is not known here");
    return FALSE;
}

static int compare_ids(const void *a, const void *b)
{
    guint32 first = *(const guint32 *)a, second = *(const guint32 *)b;
    return (first > second) - (first < second);
}

/* --- places --- */

/* Distinct ids, ascending. */
static guint32 *sort_ids(const guint32 *ids, guint count, guint *distinct)
{
    guint32 *sorted = g_memdup2(ids, (gsize)count * sizeof *ids);
    guint kept = 0;
    qsort(sorted, count, sizeof *sorted, compare_ids);
    for (guint i = 0; i < count; i++) {
        if (kept == 0 || sorted[kept - 1] != sorted[i]) {
            sorted[kept++] = sorted[i];
        }
    }
    *distinct = kept;
    return sorted;
}

static void bind_ids(sqlite3_stmt *rows, const guint32 *ids, guint count)
{
    for (guint i = 0; rows != NULL && i < BATCH; i++) {
        sqlite3_bind_int64(rows, (int)i + 1, ids[MIN(i, count - 1)]);
    }
}

static gboolean take_place(sqlite3_stmt *row, PiecePlace *place)
{
    *place = (PiecePlace){.pack = sqlite3_column_int64(row, 1),
                          .offset = (guint64)sqlite3_column_int64(row, 2),
                          .length = (guint32)sqlite3_column_int64(row, 3),
                          .damaged = sqlite3_column_int64(row, 4) != 0};
    return place->length > 0 && database_digest(row, 5, &place->digest);
}

/* Up to BATCH places, in the order of the ids. The blob's row is asked for by the same statement: the ids are those of
 * its pieces for as long as it stands there unchanged. */
static gboolean find_batch(Connection *reader, const guint32 *ids, guint count, const BlobMap *map, PiecePlace *places,
                           guint *found, GError **error)
{
    static const char sql[] = "SELECT id, pack, offset, length, damaged, digest FROM pieces WHERE id IN (" SIXTY_FOUR
                              ") AND (?65 OR EXISTS (SELECT 1 FROM blobs WHERE digest=?66 AND sum=?67))";
    g_autoptr(sqlite3_stmt) rows = database_query(reader, sql, "");
    GError *problem = NULL;
    bind_ids(rows, ids, count);
    sqlite3_bind_int64(rows, BATCH + 1, map == NULL);
    if (map != NULL) {
        sqlite3_bind_blob(rows, BATCH + 2, &map->digest, INGOT_DIGEST_SIZE, SQLITE_STATIC);
        sqlite3_bind_int64(rows, BATCH + 3, map->sum);
    }
    *found = 0;
    while (database_step(rows, &problem)) {
        guint32 id = (guint32)sqlite3_column_int64(rows, 0);
        const guint32 *at = bsearch(&id, ids, count, sizeof *ids, compare_ids);
        if (at == NULL || !take_place(rows, &places[at - ids])) {
            return map_corrupt(error);
        }
        ++*found;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* map NULL: whatever became of the blob. */
static gboolean find_places(Connection *reader, const guint32 *ids, guint count, const BlobMap *map, PiecePlace *places,
                            GError **error)
{
    guint distinct, found;
    g_autofree guint32 *sorted = sort_ids(ids, count, &distinct);
    g_autofree PiecePlace *all = g_new0(PiecePlace, distinct + 1);
    for (guint i = 0; i < distinct; i += BATCH) {
        guint batch = MIN(BATCH, distinct - i);
        if (!find_batch(reader, &sorted[i], batch, map, &all[i], &found, error)) {
            return FALSE;
        }
        if (found != batch) {
            return found == 0 && map != NULL ? map_unknown(error) : map_corrupt(error);
        }
    }
    for (guint i = 0; i < count; i++) {
        const guint32 *at = bsearch(&ids[i], sorted, distinct, sizeof *sorted, compare_ids);
        places[i] = all[at - sorted];
    }
    return TRUE;
}

static guint count_of(const BlobMap *map, guint window)
{
    return MIN(BLOBMAP_WINDOW, map->count - window * BLOBMAP_WINDOW);
}

gboolean blobmap_places(Connection *reader, const BlobMap *map, guint window, gboolean may_be_gone, PiecePlace *places,
                        guint *count, GError **error)
{
    guint64 length = 0;
    *count = count_of(map, window);
    if (!find_places(reader, &map->ids[(gsize)window * BLOBMAP_WINDOW], *count, may_be_gone ? NULL : map, places,
                     error)) {
        return FALSE;
    }
    for (guint i = 0; i < *count; i++) {
        length += places[i].length;
    }
    return length == map->starts[window + 1] - map->starts[window] || map_corrupt(error);
}

/* --- starts --- */

gboolean blobmap_measure(Connection *reader, BlobMap *map, GError **error)
{
    g_autofree guint64 *starts = g_new0(guint64, map->windows + 1);
    g_autofree PiecePlace *places = g_new(PiecePlace, BLOBMAP_WINDOW);
    for (guint window = 0; window < map->windows; window++) {
        guint count = count_of(map, window);
        if (!find_places(reader, &map->ids[(gsize)window * BLOBMAP_WINDOW], count, map, places, error)) {
            return FALSE;
        }
        starts[window + 1] = starts[window];
        for (guint i = 0; i < count; i++) {
            starts[window + 1] += places[i].length;
        }
    }
    if (starts[map->windows] != map->size) {
        return map_corrupt(error);
    }
    g_free(map->starts);
    map->starts = g_steal_pointer(&starts);
    return TRUE;
}

static gint64 sum_of_starts(const IngotDigest *digest, gint64 sum, const void *starts, gsize size)
{
    return row_sum("dib", digest, sum, starts, size);
}

gboolean blobmap_keep_starts(Connection *writer, const IngotDigest *digest, gint64 sum, const guint64 *starts,
                             guint windows, GError **error)
{
    g_autofree guint64 *little = g_new(guint64, windows);
    gsize size = windows * sizeof *little;
    for (guint i = 0; i < windows; i++) {
        little[i] = GUINT64_TO_LE(starts[i]);
    }
    return windows < 2 ||
           database_run(writer, error, "UPDATE blobs SET starts=?, starts_sum=? WHERE digest=? AND sum=?", "bidi",
                        little, size, sum_of_starts(digest, sum, little, size), digest, sum);
}

/* Those that were kept; what is none of this blob's is left out. */
static void take_starts(BlobMap *map, const void *kept, gsize size, gint64 sum)
{
    if (map->windows < 2) {
        map->starts = g_new0(guint64, 2);
        map->starts[map->windows] = map->size;
    } else if (kept != NULL && size == map->windows * sizeof(guint64) &&
               sum == sum_of_starts(&map->digest, map->sum, kept, size)) {
        map->starts = g_new0(guint64, map->windows + 1);
        memcpy(map->starts, kept, size);
        for (guint i = 0; i < map->windows; i++) {
            map->starts[i] = GUINT64_FROM_LE(map->starts[i]);
        }
        map->starts[map->windows] = map->size;
    }
}

/* --- maps --- */

static gboolean take_row(BlobMap *map, sqlite3_stmt *row, GError **error)
{
    const void *pieces = sqlite3_column_blob(row, 1);
    gsize size = (gsize)sqlite3_column_bytes(row, 1);
    map->size = (guint64)sqlite3_column_int64(row, 0);
    map->sum = sqlite3_column_int64(row, 2);
    if (map->sum != row_sum("dib", &map->digest, (gint64)map->size, pieces, size)) {
        return map_unknown(error);
    }
    map->count = (guint)(size / sizeof *map->ids);
    map->windows = (map->count + BLOBMAP_WINDOW - 1) / BLOBMAP_WINDOW;
    map->ids = g_new(guint32, map->count + 1);
    if (map->count > 0) {
        memcpy(map->ids, pieces, (gsize)map->count * sizeof *map->ids);
    }
    for (guint i = 0; i < map->count; i++) {
        map->ids[i] = GUINT32_FROM_LE(map->ids[i]);
    }
    if ((map->count == 0) != (map->size == 0)) {
        return map_corrupt(error);
    }
    take_starts(map, sqlite3_column_blob(row, 3), (gsize)sqlite3_column_bytes(row, 3), sqlite3_column_int64(row, 4));
    return TRUE;
}

/* Whether one of those ids is of a damaged piece. */
static gboolean any_damaged(Connection *reader, const guint32 *ids, guint count, gboolean *any, GError **error)
{
    static const char sql[] = "SELECT count(*) FROM pieces WHERE damaged AND id IN (" SIXTY_FOUR ")";
    g_autoptr(sqlite3_stmt) row = database_query(reader, sql, "");
    GError *problem = NULL;
    bind_ids(row, ids, count);
    *any = database_step(row, &problem) && sqlite3_column_int64(row, 0) > 0;
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

static gboolean find_among_own(Connection *reader, BlobMap *map, GError **error)
{
    guint distinct;
    g_autofree guint32 *sorted = sort_ids(map->ids, map->count, &distinct);
    for (guint i = 0; i < distinct && !map->is_damaged; i += BATCH) {
        if (!any_damaged(reader, &sorted[i], MIN(BATCH, distinct - i), &map->is_damaged, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean find_among_damaged(Connection *reader, BlobMap *map, GError **error)
{
    g_autoptr(GHashTable) damaged = g_hash_table_new(NULL, NULL);
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT id FROM pieces WHERE damaged", "");
    GError *problem = NULL;
    while (database_step(rows, &problem)) {
        g_hash_table_add(damaged, GUINT_TO_POINTER((guint)sqlite3_column_int64(rows, 0)));
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    for (guint i = 0; g_hash_table_size(damaged) > 0 && i < map->count && !map->is_damaged; i++) {
        map->is_damaged = g_hash_table_contains(damaged, GUINT_TO_POINTER(map->ids[i]));
    }
    return TRUE;
}

/* Mostly no piece is damaged at all; where a whole pack is, a small blob does not look through all of them. */
static gboolean find_damage(Connection *reader, BlobMap *map, GError **error)
{
    Counters counters;
    if (!counters_read(reader, &counters, error)) {
        return FALSE;
    }
    return counters.damaged == 0           ? TRUE
           : counters.damaged < map->count ? find_among_damaged(reader, map, error)
                                           : find_among_own(reader, map, error);
}

BlobMap *blobmap_read(Connection *reader, const IngotDigest *digest, GError **error)
{
    g_autoptr(BlobMap) map = g_new0(BlobMap, 1);
    map->digest = *digest;
    {
        GError *problem = NULL;
        g_autoptr(sqlite3_stmt) row = database_query(
            reader, "SELECT size, pieces, sum, starts, starts_sum FROM blobs WHERE digest=?", "d", &map->digest);
        if (!database_step(row, &problem)) {
            problem == NULL ? (void)map_unknown(error) : g_propagate_error(error, problem);
            return NULL;
        }
        if (!take_row(map, row, error)) {
            return NULL;
        }
    }
    return find_damage(reader, map, error) ? g_steal_pointer(&map) : NULL;
}

/* --- damage --- */

gboolean blobmap_is_damaged(Connection *reader, const IngotDigest *digest, gboolean *damaged, GError **error)
{
    Counters counters;
    *damaged = FALSE;
    if (!counters_read(reader, &counters, error)) {
        return FALSE;
    }
    if (counters.damaged == 0) {
        return TRUE;
    }
    GError *problem = NULL;
    g_autoptr(BlobMap) map = blobmap_read(reader, digest, &problem);
    *damaged = map == NULL || map->is_damaged;
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) &&
        !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

gboolean blobmap_mark_damaged(Connection *writer, const IngotDigest *piece, gint64 pack, guint64 offset,
                              gboolean *changed, GError **error)
{
    gboolean ok =
        database_run(writer, error, "UPDATE pieces SET damaged=1 WHERE digest=? AND pack=? AND offset=? AND damaged=0",
                     "dii", piece, pack, (gint64)offset);
    *changed = ok && database_changes(writer) > 0;
    return ok;
}

gboolean blobmap_is_current(Connection *reader, const BlobMap *map, gboolean *current, GError **error)
{
    gint64 count;
    gboolean ok = database_number(reader, &count, 0, error, "SELECT count(*) FROM blobs WHERE digest=? AND sum=?", "di",
                                  &map->digest, map->sum);
    *current = ok && count > 0;
    return ok;
}

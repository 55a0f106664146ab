/* Compaction: what lives in packs that are mostly dead is written to a new one, and they go. */
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/catalogue/packrows.h"
#include "server/catalogue/pieces.h"
#include "server/storage/garbage.h"

#define SMALL (4u << 20)   /* bytes of a pack that may go together with others */
#define MANY 16            /* as many of them do */
#define MERGED (64u << 20) /* bytes that they have together, at most a little more */
#define SCATTERED 512      /* small packs: so many are not left until garbage is collected */

typedef struct {
    const Collection *collection;
    const GArray *sources; /* of gint64: packs */
    gint64 at;             /* of them, that is being read; 0: none */
    char *path;
    int fd;
    guint64 end;    /* of the data, then of the segments */
    Table *table;   /* the pieces that live */
    GArray *places; /* of Place, as the table's pieces */
} Compaction;

typedef struct {
    gint64 piece, pack;
    guint64 offset; /* in the new pack */
} Place;

/* --- copying what lives --- */

static gboolean copy_piece(Compaction *compaction, const Pack *source, const PackPiece *piece, gint64 pack,
                           GError **error)
{
    IngotDigest found;
    Place place = {.piece = piece->id, .pack = pack, .offset = compaction->end};
    g_autofree guint8 *data = g_malloc(MIN(piece->length, PIECE_MAX) + 1);
    if (piece->length > PIECE_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the catalogue gives a piece of it %u bytes",
                    pack_path(source), piece->length);
        return FALSE;
    }
    if (!pack_read(source, piece->offset, data, piece->length, error)) {
        return FALSE;
    }
    ingot_digest_of(data, piece->length, &found);
    if (!ingot_digest_equal(&found, &piece->digest)) {
        blob_damaged(compaction->collection->storage, &piece->digest, pack, piece->offset);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: holds a damaged piece, so it is left as it is",
                    pack_path(source));
        return FALSE;
    }
    table_add(compaction->table, &found, piece->length, TRUE);
    g_array_append_val(compaction->places, place);
    compaction->end += piece->length;
    return ingot_file_pwrite(compaction->fd, data, piece->length, place.offset, compaction->path, error);
}

static gboolean copy_pieces(Compaction *compaction, Connection *reader, gint64 pack, GError **error)
{
    g_autoptr(GArray) pieces = packrows_pieces(reader, pack, 0, error);
    if (pieces != NULL && pieces->len == 0) {
        return TRUE; /* its file may be lost: all that stood in it has been pushed again */
    }
    GError *problem = NULL;
    g_autoptr(Pack) source = pieces == NULL ? NULL : packs_get(compaction->collection->storage->packs, pack, &problem);
    if (problem != NULL) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
            blob_pack_lost(compaction->collection->storage, pack);
        }
        g_propagate_error(error, problem);
    }
    for (guint i = 0; source != NULL && i < pieces->len; i++) {
        if (!collection_goes_on(compaction->collection, error) ||
            !copy_piece(compaction, source, &g_array_index(pieces, PackPiece, i), pack, error)) {
            return FALSE;
        }
    }
    return source != NULL;
}

static gboolean fill_table(Connection *reader, Table *table, const GArray *pieces, GError **error)
{
    for (guint i = 0; i < pieces->len; i++) {
        IngotDigest digest;
        guint32 length;
        gboolean found;
        if (!packrows_piece(reader, g_array_index(pieces, guint32, i), &digest, &length, &found, error)) {
            return FALSE;
        }
        if (!found) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "a blob counts on a piece that is not there");
            return FALSE;
        }
        table_add(table, &digest, length, FALSE);
    }
    return TRUE;
}

/* The tables of the blobs that stood in the pack go along: from them the catalogue can be made again. */
static gboolean copy_tables(Compaction *compaction, Connection *reader, gint64 pack, GError **error)
{
    g_autoptr(GArray) blobs = packrows_blobs(reader, pack, error);
    for (guint i = 0; blobs != NULL && i < blobs->len; i++) {
        const PackBlob *blob = &g_array_index(blobs, PackBlob, i);
        g_autoptr(Table) table = table_new();
        table->blob = blob->digest;
        table->size = blob->size;
        if (!fill_table(reader, table, blob->pieces, error) ||
            !segment_finish(compaction->fd, compaction->end, 0, table, &compaction->end, compaction->path, error)) {
            return FALSE;
        }
    }
    return blobs != NULL;
}

/* One segment with the pieces of all sources, then one for each blob's table. */
static gboolean write_pack(Compaction *compaction, GError **error)
{
    g_autoptr(Connection) reader = database_reader(compaction->collection->storage->catalogue, error);
    if (reader == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < compaction->sources->len; i++) {
        compaction->at = g_array_index(compaction->sources, gint64, i);
        if (!copy_pieces(compaction, reader, compaction->at, error)) {
            return FALSE;
        }
    }
    guint64 data = compaction->end - SEGMENT_HEAD;
    if (!segment_finish(compaction->fd, 0, data, compaction->table, &compaction->end, compaction->path, error)) {
        return FALSE;
    }
    for (guint i = 0; i < compaction->sources->len; i++) {
        compaction->at = g_array_index(compaction->sources, gint64, i);
        if (!copy_tables(compaction, reader, compaction->at, error)) {
            return FALSE;
        }
    }
    compaction->at = 0;
    return fdatasync(compaction->fd) == 0 || ingot_error_set_errno(error, errno, "%s", compaction->path);
}

/* --- putting it in their place --- */

static gboolean move_rows(Change *change, const Compaction *compaction, gint64 pack, GError **error)
{
    for (guint i = 0; i < compaction->places->len; i++) {
        /* One that was found damaged, and replaced, or collected meanwhile is not where it was. */
        const Place *place = &g_array_index(compaction->places, Place, i);
        if (!packrows_move_piece(change->writer, place->piece, place->pack, pack, place->offset, error)) {
            return FALSE;
        }
    }
    for (guint i = 0; i < compaction->sources->len; i++) {
        gint64 source = g_array_index(compaction->sources, gint64, i);
        if (!packrows_move_blobs(change->writer, source, pack, error) ||
            !packrows_drop(change->writer, source, error)) {
            return FALSE;
        }
    }
    change->moved = TRUE;
    return TRUE;
}

static gboolean replace(const Compaction *compaction, GError **error)
{
    Change change;
    gint64 pack;
    if (!change_begin(compaction->collection->storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = publish_pack(&change, compaction->path, compaction->end, &pack, error) &&
                  move_rows(&change, compaction, pack, error);
    return change_end(&change, ok, error);
}

static void compaction_clear(Compaction *compaction)
{
    unlink(compaction->path); /* the pack has a name of its own */
    close(compaction->fd);
    table_free(compaction->table);
    g_array_unref(compaction->places);
    g_free(compaction->path);
}

/* *bad: the pack that can't be read; 0: none of them is to blame. */
static gboolean compact(const Collection *collection, const GArray *sources, guint64 *size, gint64 *bad, GError **error)
{
    g_autofree char *name = g_uuid_string_random();
    g_autofree char *file = g_strconcat(name, ".pack", NULL);
    Compaction compaction = {.collection = collection, .sources = sources, .end = SEGMENT_HEAD};
    compaction.path = g_build_filename(collection->storage->path, "uploads", file, NULL);
    compaction.table = table_new();
    compaction.places = g_array_new(FALSE, FALSE, sizeof(Place));
    compaction.fd = ingot_file_open(compaction.path, O_RDWR | O_CREAT | O_EXCL, 0600, error);
    gboolean ok = compaction.fd >= 0 && write_pack(&compaction, error) && replace(&compaction, error);
    *size = compaction.end;
    *bad = ok ? 0 : compaction.at;
    compaction_clear(&compaction);
    return ok;
}

/* --- which --- */

/* Deletes an empty pack's row; the caller then removes the pack. */
static gboolean retire(Storage *storage, gint64 pack, GError **error)
{
    Change change;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    return change_end(&change, packrows_drop(change.writer, pack, error), error);
}

/* What stands in the way of one pack does not stand in the way of others. */
static gboolean is_of_one_pack(const GError *error)
{
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT) ||
           g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE);
}

/* The packs of the list become one, or none; their files go. A damaged one stays, and so does one for whose copy there
 * is no room. *bad: the one that is damaged; 0: none. */
static gboolean shrink(Collection *collection, const GArray *packs, guint64 size, gboolean empty, gint64 *bad,
                       GError **error)
{
    Storage *storage = collection->storage;
    guint64 left = 0;
    GError *problem = NULL;
    *bad = 0;
    gboolean ok = empty ? retire(storage, g_array_index(packs, gint64, 0), &problem)
                        : compact(collection, packs, &left, bad, &problem);
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        *bad = 0;
    }
    if (!ok && is_of_one_pack(problem)) {
        collection_tell(collection, "%s", problem->message);
        collection->report->skipped += *bad != 0 ? 1 : packs->len;
        g_error_free(problem);
        return TRUE;
    }
    if (!ok) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    for (guint i = 0; i < packs->len; i++) {
        packs_remove(storage->packs, g_array_index(packs, gint64, i), NULL);
        collection->report->packs++;
    }
    collection->report->freed += size > left ? size - left : 0;
    return TRUE;
}

static gboolean shrink_one(Collection *collection, const PackUsage *usage, GError **error)
{
    g_autoptr(GArray) one = g_array_new(FALSE, FALSE, sizeof(gint64));
    gint64 bad;
    g_array_append_val(one, usage->pack);
    return collection_goes_on(collection, error) && shrink(collection, one, usage->size, usage->live == 0, &bad, error);
}

static gboolean orphan_is_old(const Collection *collection, const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 &&
           st.st_mtime + (gint64)MIN(collection->options->grace, (guint64)G_MAXINT) <= storage_now();
}

/* Packs that the catalogue does not know. A crash before a commit leaves one; a catalogue that has lost something does
 * not know others. So none is removed: they go to packs/lost, and stay where they are if the catalogue knows none. */
static void set_aside_orphans(Storage *storage, Collection *collection)
{
    Change change; /* nobody publishes a pack meanwhile */
    guint64 count = 0;
    if (!change_begin(storage, &change, NULL)) {
        return;
    }
    pieces_count_packs(change.writer, &count, NULL);
    g_autoptr(GArray) files = count == 0 ? NULL : packs_list(storage->packs, NULL);
    for (guint i = 0; files != NULL && i < files->len; i++) {
        gint64 number = g_array_index(files, gint64, i);
        g_autofree char *path = packs_path(storage->packs, number);
        gboolean known;
        if (pieces_has_pack(change.writer, number, &known, NULL) && !known && orphan_is_old(collection, path) &&
            packs_set_aside(storage->packs, number, NULL)) {
            collection_tell(collection, "%s: the catalogue does not know it; it is kept in packs/lost", path);
        }
    }
    change_end(&change, FALSE, NULL);
}

/* Empty ones first, then those whose copy takes the least room: on a full disk each makes room for the next. */
static int least_live_first(gconstpointer a, gconstpointer b)
{
    const PackUsage *one = a, *two = b;
    return (one->live > two->live) - (one->live < two->live);
}

static gboolean is_mostly_dead(const PackUsage *usage)
{
    return usage->live * 2 < usage->size;
}

static gboolean is_in(const GArray *list, gint64 pack)
{
    gboolean in = FALSE;
    for (guint i = 0; i < list->len && !in; i++) {
        in = g_array_index(list, gint64, i) == pack;
    }
    return in;
}

/* A pack that turns out to be damaged is left out, and does not keep the others apart. */
static gboolean merge_group(Collection *collection, GArray *packs, guint64 size, GError **error)
{
    gint64 bad = -1;
    while (packs->len > 1 && bad != 0) {
        if (!collection_goes_on(collection, error) || !shrink(collection, packs, size, FALSE, &bad, error)) {
            return FALSE;
        }
        for (guint i = packs->len; bad != 0 && i > 0; i--) {
            if (g_array_index(packs, gint64, i - 1) == bad) {
                g_array_remove_index_fast(packs, i - 1);
            }
        }
    }
    g_array_set_size(packs, 0);
    return TRUE;
}

static GArray *read_damaged(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : pieces_damaged_packs(reader, error);
}

/* Small ones together, so many as make one that is small no more. Fewer wait for others; damaged ones, for the pushes
 * that mend them. */
static gboolean merge_small(Collection *collection, const GArray *list, GError **error)
{
    g_autoptr(GArray) small = g_array_new(FALSE, FALSE, sizeof(gint64));
    g_autoptr(GArray) damaged = read_damaged(collection->storage, error);
    guint64 size = 0;
    for (guint i = 0; damaged != NULL && i < list->len; i++) {
        const PackUsage *usage = &g_array_index(list, PackUsage, i);
        if (is_mostly_dead(usage) || usage->size >= SMALL || is_in(damaged, usage->pack)) {
            continue;
        }
        g_array_append_val(small, usage->pack);
        size += usage->size;
        if (small->len >= MANY && size >= MERGED) {
            if (!merge_group(collection, small, size, error)) {
                return FALSE;
            }
            size = 0;
        }
    }
    return damaged != NULL && (small->len < MANY || merge_group(collection, small, size, error));
}

static GArray *read_usage(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : packrows_usage(reader, error);
}

gboolean storage_is_scattered(Storage *storage, gboolean *scattered, GError **error)
{
    guint64 count = 0;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    gboolean ok = reader != NULL && packrows_smaller(reader, SMALL, &count, error);
    *scattered = count >= SCATTERED;
    return ok;
}

gboolean compact_packs(Collection *collection, GError **error)
{
    g_autoptr(GArray) list = read_usage(collection->storage, error);
    if (list == NULL) {
        return FALSE;
    }
    g_array_sort(list, least_live_first);
    for (guint i = 0; i < list->len; i++) {
        const PackUsage *usage = &g_array_index(list, PackUsage, i);
        if (is_mostly_dead(usage) && !shrink_one(collection, usage, error)) {
            return FALSE;
        }
    }
    if (!merge_small(collection, list, error)) {
        return FALSE;
    }
    set_aside_orphans(collection->storage, collection);
    return TRUE;
}

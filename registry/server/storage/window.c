#include "server/storage/window.h"

#include <ingot/error.h>
#include <string.h>

#include "server/packs/splitter.h"

typedef struct {
    guint64 start;  /* in the blob */
    guint64 offset; /* in the pack */
    guint32 length;
    guint32 pack;       /* which of the window's */
    gint generation;    /* of the pack, when the bytes were found whole; 0: not yet (atomic) */
    gboolean damaged;   /* the catalogue knows that it is */
    IngotDigest digest; /* kept here: the catalogue may have let go of the piece while the blob is still read */
} Place;

struct Window {
    gatomicrefcount references;
    gint used; /* atomic */
    GPtrArray *packs;
    guint count;
    Place places[];
};

Window *window_ref(Window *window)
{
    g_atomic_ref_count_inc(&window->references);
    return window;
}

void window_unref(Window *window)
{
    if (window != NULL && g_atomic_ref_count_dec(&window->references)) {
        g_ptr_array_unref(window->packs);
        g_free(window);
    }
}

gsize window_cost(const Window *window)
{
    return sizeof *window + window->count * sizeof *window->places;
}

void window_touch(Window *window)
{
    if (g_atomic_int_get(&window->used) == 0) {
        g_atomic_int_set(&window->used, 1);
    }
}

gboolean window_was_used(Window *window)
{
    return g_atomic_int_compare_and_exchange(&window->used, 1, 0);
}

/* --- loading --- */

/* Which of the window's packs has that number; most pieces stand where the one before them does. */
static gboolean find_pack(Window *window, Packs *packs, gint64 number, guint32 *which, gint64 *lost, GError **error)
{
    for (guint i = window->packs->len; i > 0; i--) {
        if (pack_number(g_ptr_array_index(window->packs, i - 1)) == number) {
            *which = i - 1;
            return TRUE;
        }
    }
    GError *problem = NULL;
    Pack *pack = packs_get(packs, number, &problem);
    if (pack == NULL) {
        *lost = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ? number : 0;
        g_propagate_error(error, problem);
        return FALSE;
    }
    *which = window->packs->len;
    g_ptr_array_add(window->packs, pack);
    return TRUE;
}

static gboolean fill(Window *window, Packs *packs, const PiecePlace *places, guint64 start, gint64 *lost,
                     GError **error)
{
    for (guint i = 0; i < window->count; i++) {
        Place *place = &window->places[i];
        *place = (Place){.start = start,
                         .offset = places[i].offset,
                         .length = places[i].length,
                         .damaged = places[i].damaged,
                         .digest = places[i].digest};
        if (place->length > PIECE_MAX) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "the catalogue's entry of a piece is damaged");
            return FALSE;
        }
        if (!find_pack(window, packs, places[i].pack, &place->pack, lost, error)) {
            return FALSE;
        }
        start += place->length;
    }
    return TRUE;
}

Window *window_load(Packs *packs, Connection *reader, const BlobMap *map, guint number, gboolean may_be_gone,
                    gint64 *lost, GError **error)
{
    guint count;
    *lost = 0;
    g_autofree PiecePlace *places = g_new(PiecePlace, BLOBMAP_WINDOW);
    if (!blobmap_places(reader, map, number, may_be_gone, places, &count, error)) {
        return NULL;
    }
    g_autoptr(Window) window = g_malloc0(sizeof *window + count * sizeof *window->places);
    g_atomic_ref_count_init(&window->references);
    window->packs = g_ptr_array_new_with_free_func((GDestroyNotify)pack_unref);
    window->used = 1;
    window->count = count;
    return fill(window, packs, places, map->starts[number], lost, error) ? g_steal_pointer(&window) : NULL;
}

/* --- reading --- */

static guint place_at(const Window *window, guint64 offset)
{
    guint low = 0, high = window->count;
    while (high - low > 1) {
        guint middle = low + (high - low) / 2;
        if (window->places[middle].start <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static gboolean is_run(const Place *place, const Place *next)
{
    return next->pack == place->pack && next->offset == place->offset + place->length;
}

static Pack *pack_of(const Window *window, const Place *place)
{
    return g_ptr_array_index(window->packs, place->pack);
}

/* How many of the `most` bytes from an offset in place `first` are one run that was found whole. */
static guint64 whole_run(Window *window, guint first, guint64 offset, guint64 most)
{
    gint generation = (gint)pack_generation(pack_of(window, &window->places[first]));
    guint64 end = offset;
    for (guint i = first; i < window->count && end - offset < most; i++) {
        Place *place = &window->places[i];
        if (g_atomic_int_get(&place->generation) != generation || (i > first && !is_run(place - 1, place))) {
            break;
        }
        end = place->start + place->length;
    }
    return MIN(end - offset, most);
}

guint64 window_run(Window *window, guint64 offset, guint64 most, int *fd, guint64 *at)
{
    guint first = place_at(window, offset);
    const Place *place = &window->places[first];
    *fd = pack_fd(pack_of(window, place));
    *at = place->offset + (offset - place->start);
    return whole_run(window, first, offset, most);
}

static gboolean read_pack(const Window *window, const Place *place, guint64 within, void *buffer, gsize size,
                          GError **error)
{
    const Pack *pack = pack_of(window, place);
    return pack_read(pack, place->offset + within, buffer, size, error);
}

static gboolean check(const Window *window, const Place *place, const void *data, GError **error)
{
    IngotDigest found;
    ingot_digest_of(data, place->length, &found);
    if (ingot_digest_equal(&found, &place->digest)) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the piece at offset %" G_GUINT64_FORMAT " is damaged",
                pack_path(pack_of(window, place)), place->offset);
    return FALSE;
}

/* Reads a piece that has not been looked at yet, and gives out the part that was asked for. */
static gssize read_checked(Window *window, Place *place, guint64 within, void *buffer, gsize size, Damage *damage,
                           GError **error)
{
    gint generation = (gint)pack_generation(pack_of(window, place));
    g_autofree guint8 *data = g_malloc(place->length);
    if (!read_pack(window, place, 0, data, place->length, error) || !check(window, place, data, error)) {
        if (!place->damaged) {
            *damage =
                (Damage){.digest = place->digest, .pack = pack_number(pack_of(window, place)), .offset = place->offset};
        }
        return -1;
    }
    g_atomic_int_set(&place->generation, generation);
    gsize count = MIN(size, place->length - within);
    memcpy(buffer, data + within, count);
    return (gssize)count;
}

gssize window_read(Window *window, guint64 offset, void *buffer, gsize size, Damage *damage, GError **error)
{
    guint at = place_at(window, offset);
    Place *place = &window->places[at];
    guint64 whole = whole_run(window, at, offset, size);
    *damage = (Damage){0};
    if (whole == 0) {
        return read_checked(window, place, offset - place->start, buffer, size, damage, error);
    }
    return read_pack(window, place, offset - place->start, buffer, (gsize)whole, error) ? (gssize)whole : -1;
}

void window_list(const Window *window, GByteArray *list)
{
    for (guint i = 0; i < window->count; i++) {
        const Place *place = &window->places[i];
        guint32 length = GUINT32_TO_LE(place->length);
        g_byte_array_append(list, place->digest.bytes, sizeof place->digest.bytes);
        g_byte_array_append(list, (const guint8 *)&length, sizeof length);
    }
}

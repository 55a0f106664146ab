#include "server/storage/packcheck.h"

#include <ingot/error.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/text.h"
#include "server/catalogue/pieces.h"
#include "server/storage/inside.h"

#define TOLD_MAX 10 /* packs that are named, each in a line */

static int compare_numbers(const void *a, const void *b)
{
    gint64 first = *(const gint64 *)a, second = *(const gint64 *)b;
    return (first > second) - (first < second);
}

static gboolean list_has(const GArray *list, gint64 number)
{
    return list->len > 0 && bsearch(&number, list->data, list->len, sizeof number, compare_numbers) != NULL;
}

/* Those of the first list that are not in the second. */
static GArray *list_without(const GArray *list, const GArray *others)
{
    GArray *rest = g_array_new(FALSE, FALSE, sizeof(gint64));
    for (guint i = 0; i < list->len; i++) {
        gint64 number = g_array_index(list, gint64, i);
        if (!list_has(others, number)) {
            g_array_append_val(rest, number);
        }
    }
    return rest;
}

static void tell(Storage *storage, const GArray *packs, guint64 pieces, const char *what)
{
    for (guint i = 0; i < packs->len && i < TOLD_MAX; i++) {
        g_autofree char *path = packs_path(storage->packs, g_array_index(packs, gint64, i));
        g_warning("%s: %s", path, what);
    }
    g_warning("%u packs with %" G_GUINT64_FORMAT " pieces: %s", packs->len, pieces, what);
}

/* --- that are away --- */

/* Leaves out of the list those of which that is known. */
static gboolean packcheck_lose(Change *change, GArray *missing, guint64 *pieces, GError **error)
{
    guint kept = 0;
    for (guint i = 0; i < missing->len; i++) {
        gint64 number = g_array_index(missing, gint64, i);
        guint64 whole;
        if (!pieces_whole_of(change->writer, number, &whole, error) ||
            (whole > 0 && !pieces_lose_pack(change->writer, number, error))) {
            return FALSE;
        }
        if (whole > 0) {
            g_array_index(missing, gint64, kept++) = number;
            *pieces += whole;
        }
    }
    g_array_set_size(missing, kept);
    change->moved |= kept > 0;
    return TRUE;
}

/* --- that are back --- */

static gboolean has_its_size(Storage *storage, Connection *connection, gint64 number, gboolean *has, GError **error)
{
    guint64 size;
    struct stat st;
    g_autofree char *path = packs_path(storage->packs, number);
    if (!pieces_pack_size(connection, number, &size, error)) {
        return FALSE;
    }
    *has = stat(path, &st) == 0 && (guint64)st.st_size >= size;
    return TRUE;
}

/* Leaves those in the list that are there again. */
static gboolean packcheck_heal(Change *change, GArray *lost, const GArray *there, guint64 *pieces, GError **error)
{
    guint kept = 0;
    for (guint i = 0; i < lost->len; i++) {
        gint64 number = g_array_index(lost, gint64, i);
        gboolean whole = FALSE;
        guint64 count = 0;
        if ((list_has(there, number) && !has_its_size(change->storage, change->writer, number, &whole, error)) ||
            (whole && !pieces_find_pack(change->writer, number, &count, error))) {
            return FALSE;
        }
        if (whole) {
            g_array_index(lost, gint64, kept++) = number;
            *pieces += count;
        }
    }
    g_array_set_size(lost, kept);
    change->moved |= kept > 0;
    return TRUE;
}

/* --- both --- */

static gboolean packcheck_note(Storage *storage, GArray *missing, GArray *lost, const GArray *there, GError **error)
{
    guint64 gone = 0, back = 0;
    Change change;
    if (missing->len == 0 && lost->len == 0) {
        return TRUE;
    }
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    gboolean ok = packcheck_lose(&change, missing, &gone, error) && packcheck_heal(&change, lost, there, &back, error);
    if (!change_end(&change, ok, error)) {
        return FALSE;
    }
    if (missing->len > 0) {
        tell(storage, missing, gone, "missing (`ingotd scrub` names the images that need them)");
        g_mutex_lock(&storage->stats_lock);
        storage->stats.damage_found += gone;
        g_mutex_unlock(&storage->stats_lock);
    }
    if (lost->len > 0) {
        tell(storage, lost, back, "there again");
    }
    return TRUE;
}

gboolean packcheck(Storage *storage, GError **error)
{
    g_autofree char *uploads = g_build_filename(storage->path, "uploads", NULL);
    g_autoptr(GArray) known = NULL, lost = NULL;
    {
        g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
        known = reader == NULL ? NULL : pieces_list_packs(reader, error);
        lost = known == NULL ? NULL : pieces_lost_packs(reader, error);
    }
    /* Behind the list of those that are known: one that comes meanwhile is in this list alone. */
    g_autoptr(GArray) there = lost == NULL ? NULL : packs_list(storage->packs, error);
    if (there == NULL || !packs_can_take(storage->packs, uploads, error)) {
        return FALSE;
    }
    g_autoptr(GArray) missing = list_without(known, there);
    if (missing->len > 0 && missing->len == known->len) {
        g_autofree char *word = ingot_text_word(storage->path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s/packs: none of the %u packs that the catalogue knows is there; is its disk mounted?"
                    " (`ingotd rebuild --data %s` goes on without them)",
                    storage->path, known->len, word);
        return FALSE;
    }
    return packcheck_note(storage, missing, lost, there, error);
}

#include "server/storage/sweep.h"

#include <ingot/error.h>

#include "server/catalogue/leases.h"
#include "server/catalogue/marks.h"
#include "server/catalogue/spared.h"
#include "server/storage/readers.h"

#define BATCH 512       /* pieces that are marked or deleted in one change */
#define PAUSE_USEC 2000 /* between two: others write too */

typedef struct {
    Storage *storage;
    gboolean (*goes_on)(gpointer user, GError **error);
    gpointer user;
    CollectReport *report;
} Sweep;

typedef gboolean (*BatchFunc)(Sweep *sweep, Change *change, const Dead *dead, guint count, GError **error);

/* Each batch of the list in a change of its own. */
static gboolean each_batch(Sweep *sweep, const GArray *list, BatchFunc take, GError **error)
{
    for (guint i = 0; i < list->len; i += BATCH) {
        Change change;
        if ((sweep->goes_on != NULL && !sweep->goes_on(sweep->user, error)) ||
            !change_begin(sweep->storage, &change, error)) {
            return FALSE;
        }
        gboolean ok = take(sweep, &change, &g_array_index(list, Dead, i), MIN(BATCH, list->len - i), error);
        if (!change_end(&change, ok, error)) {
            return FALSE;
        }
        g_usleep(PAUSE_USEC);
    }
    return TRUE;
}

/* Each batch has an epoch of its own: a lease that is taken between two is older than the second one's marks. */
static gboolean mark_batch(Sweep *sweep, Change *change, const Dead *dead, guint count, GError **error)
{
    gint64 epoch;
    (void)sweep;
    gboolean ok = leases_advance(change->writer, &epoch, error);
    for (guint i = 0; ok && i < count; i++) {
        ok = marks_set(change->writer, dead[i].piece, epoch, error);
    }
    return ok;
}

static gboolean clear_batch(Sweep *sweep, Change *change, const Dead *dead, guint count, GError **error)
{
    gboolean ok = TRUE;
    (void)sweep;
    for (guint i = 0; ok && i < count; i++) {
        ok = marks_clear(change->writer, &dead[i], error);
    }
    return ok;
}

static gboolean delete_batch(Sweep *sweep, Change *change, const Dead *dead, guint count, GError **error)
{
    gint64 oldest;
    if (!leases_oldest(change->writer, storage_now(), &oldest, error)) {
        return FALSE;
    }
    for (guint i = 0; i < count; i++) {
        gboolean deleted = FALSE;
        if (dead[i].mark > oldest) {
            sweep->report->held++;
            sweep->report->held_bytes += dead[i].length;
        } else if (!marks_delete(change->writer, &dead[i], &deleted, error)) {
            return FALSE;
        }
        sweep->report->pieces += deleted;
        sweep->report->bytes += deleted ? dead[i].length : 0;
    }
    return TRUE;
}

static GArray *list_unneeded(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(GByteArray) needed = reader == NULL ? NULL : marks_needed(reader, NULL, error);
    return needed == NULL ? NULL : marks_unneeded(reader, needed, error);
}

/* Takes those out of the list that a blob has; they are returned. The marks were read before: a blob that comes later
 * has taken the mark away. */
static GArray *take_needed(Storage *storage, GArray *marked, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    g_autoptr(GByteArray) needed = reader == NULL ? NULL : marks_needed(reader, NULL, error);
    if (needed == NULL) {
        return NULL;
    }
    GArray *taken = g_array_new(FALSE, FALSE, sizeof(Dead));
    guint kept = 0;
    for (guint i = 0; i < marked->len; i++) {
        Dead dead = g_array_index(marked, Dead, i);
        if (marks_is_needed(needed, dead.piece)) {
            g_array_append_val(taken, dead);
        } else {
            g_array_index(marked, Dead, kept++) = dead;
        }
    }
    g_array_set_size(marked, kept);
    return taken;
}

static GArray *list_marked(Storage *storage, GError **error)
{
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader == NULL ? NULL : marks_list(reader, error);
}

static gboolean tidy_leases(Storage *storage, GError **error)
{
    Change change;
    return change_begin(storage, &change, error) && change_end(&change,
                                                               leases_tidy(change.writer, storage_now(), error) &&
                                                                   spared_lapse(change.writer, storage_now(), error),
                                                               error);
}

gboolean sweep_marked(Storage *storage, gboolean (*goes_on)(gpointer user, GError **error), gpointer user,
                      CollectReport *report, GError **error)
{
    Sweep sweep = {.storage = storage, .goes_on = goes_on, .user = user, .report = report};
    g_autoptr(GArray) marked = list_marked(storage, error);
    if (marked == NULL || marked->len == 0) {
        return marked != NULL;
    }
    /* Marked in vain: what a blob that came between the look and the mark has. */
    g_autoptr(GArray) needed = take_needed(storage, marked, error);
    if (needed == NULL || !each_batch(&sweep, needed, clear_batch, error)) {
        return FALSE;
    }
    readers_move(storage); /* ours keep none of these */
    return each_batch(&sweep, marked, delete_batch, error);
}

gboolean sweep_pieces(Storage *storage, gboolean (*goes_on)(gpointer user, GError **error), gpointer user,
                      CollectReport *report, GError **error)
{
    Sweep sweep = {.storage = storage, .goes_on = goes_on, .user = user, .report = report};
    g_autoptr(GArray) unneeded = tidy_leases(storage, error) ? list_unneeded(storage, error) : NULL;
    return unneeded != NULL && each_batch(&sweep, unneeded, mark_batch, error) &&
           sweep_marked(storage, goes_on, user, report, error);
}

gboolean storage_sweep_is_due(Storage *storage, gboolean *due, GError **error)
{
    gint64 oldest;
    g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
    return reader != NULL && leases_oldest(reader, storage_now(), &oldest, error) &&
           marks_any(reader, oldest, due, error);
}

static void count_dead(const GArray *list, const GByteArray *needed, CollectReport *report)
{
    for (guint i = 0; i < list->len; i++) {
        const Dead *dead = &g_array_index(list, Dead, i);
        if (!marks_is_needed(needed, dead->piece)) {
            report->pieces++;
            report->bytes += dead->length;
        }
    }
}

gboolean sweep_count(Connection *connection, GHashTable *without, CollectReport *report, GError **error)
{
    g_autoptr(GByteArray) needed = marks_needed(connection, without, error);
    g_autoptr(GArray) unneeded = needed == NULL ? NULL : marks_unneeded(connection, needed, error);
    g_autoptr(GArray) marked = unneeded == NULL ? NULL : marks_list(connection, error);
    if (marked == NULL) {
        return FALSE;
    }
    count_dead(unneeded, needed, report);
    count_dead(marked, needed, report);
    return TRUE;
}

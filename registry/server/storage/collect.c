#include "server/storage/collect.h"

#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>

#include "server/catalogue/links.h"
#include "server/storage/garbage.h"
#include "server/storage/sweep.h"
#include "server/storage/upload.h"

void collection_tell(const Collection *collection, const char *format, ...)
{
    if (collection->options->tell == NULL) {
        return;
    }
    va_list values;
    va_start(values, format);
    g_autofree char *line = g_strdup_vprintf(format, values);
    va_end(values);
    collection->options->tell(line, collection->options->user);
}

/* --- names --- */

/* Blobs that no manifest of their repository has needed since the grace began. */
static gboolean drop_links(Collection *collection, GError **error)
{
    guint64 now = (guint64)storage_now();
    g_autoptr(GArray) list =
        links_unneeded(collection->change.writer, (gint64)(now - MIN(now, collection->options->grace)), error);
    for (guint i = 0; list != NULL && i < list->len; i++) {
        const Link *link = &g_array_index(list, Link, i);
        g_autofree char *text = ingot_digest_to_text(&link->digest);
        collection_tell(collection, "blob %s@%s", link->name, text);
        if (!names_remove(&collection->change, link->name, link->repository, link->blob, &link->digest, error)) {
            return FALSE;
        }
        collection->report->links++;
    }
    return list != NULL;
}

/* What a manifest needs stays with it, even if it was deleted: pushed again, it is what the manifest needs. */
static gboolean drop_blobs(Collection *collection, GError **error)
{
    gboolean ok = links_sweep(collection->change.writer, &collection->report->blobs, error);
    collection->change.moved |= ok && collection->report->blobs > 0;
    return ok;
}

/* --- the whole --- */

/* In a dry run all of it happens within the change, which is then taken back. */
static gboolean let_go(Storage *storage, Collection *collection, GError **error)
{
    gboolean dry = collection->options->dry_run;
    if (!change_begin(storage, &collection->change, error)) {
        return FALSE;
    }
    gboolean ok = retention_apply(collection, error) && drop_links(collection, error) && drop_blobs(collection, error);
    ok = ok && (!dry || sweep_count(collection->change.writer, NULL, collection->report, error));
    gboolean done = change_end(&collection->change, ok && !dry, error);
    return dry ? ok : done;
}

/* One at a time, of all processes that have the folder. */
static IngotLock *take_turn(Storage *storage, GError **error)
{
    g_autofree char *path = g_build_filename(storage->path, ".collecting", NULL);
    GError *problem = NULL;
    IngotLock *lock = ingot_lock_take(path, TRUE, FALSE, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        g_clear_error(&problem);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "garbage is being collected already");
    } else if (lock == NULL) {
        g_propagate_error(error, problem);
    }
    return lock;
}

gboolean storage_collect(Storage *storage, const CollectOptions *options, CollectReport *report, GError **error)
{
    Collection collection = {.options = options, .report = report};
    memset(report, 0, sizeof *report);
    g_autoptr(IngotLock) turn = take_turn(storage, error);
    if (turn == NULL) {
        return FALSE;
    }
    if (!options->dry_run) {
        uploads_sweep(storage);
    }
    return let_go(storage, &collection, error) &&
           (options->dry_run ||
            (sweep_pieces(storage, NULL, NULL, report, error) && compact_packs(storage, &collection, error)));
}

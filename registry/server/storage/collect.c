#include "server/storage/collect.h"

#include <ingot/error.h>
#include <stdarg.h>
#include <string.h>

#include "server/storage/garbage.h"
#include "server/storage/upload.h"

#define BATCH 512       /* pieces that are deleted in one transaction */
#define PAUSE_USEC 2000 /* between two: others write too */

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

typedef struct {
    char *name;
    gint64 repository, blob;
    IngotDigest digest;
} Link;

static void link_clear(gpointer data)
{
    g_free(((Link *)data)->name);
}

/* Blobs that no manifest of their repository has needed since the grace began. */
static GArray *list_unneeded(const Collection *collection, GError **error)
{
    static const char sql[] = "SELECT repositories.name, links.repository, links.blob, blobs.digest FROM links JOIN"
                              " repositories ON repositories.id=links.repository JOIN blobs ON blobs.id=links.blob"
                              " WHERE links.made<=? AND NOT EXISTS (SELECT 1 FROM manifests WHERE"
                              " repository=links.repository AND blob=links.blob) AND NOT EXISTS (SELECT 1 FROM mentions"
                              " WHERE repository=links.repository AND blob=links.blob)";
    g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(Link));
    g_array_set_clear_func(list, link_clear);
    GError *problem = NULL;
    guint64 now = (guint64)storage_now();
    g_autoptr(sqlite3_stmt) rows =
        database_query(collection->change.writer, sql, "i", (gint64)(now - MIN(now, collection->options->grace)));
    while (database_step(rows, &problem)) {
        Link link = {.name = database_text(rows, 0),
                     .repository = sqlite3_column_int64(rows, 1),
                     .blob = sqlite3_column_int64(rows, 2)};
        if (!database_digest(rows, 3, &link.digest)) {
            memset(&link.digest, 0, sizeof link.digest);
        }
        g_array_append_val(list, link);
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&list);
}

static gboolean drop_links(Collection *collection, GError **error)
{
    g_autoptr(GArray) list = list_unneeded(collection, error);
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
    if (!database_run(collection->change.writer, error,
                      "DELETE FROM blobs WHERE NOT EXISTS (SELECT 1 FROM links WHERE links.blob=blobs.id) AND id NOT IN"
                      " (SELECT blob FROM mentions)",
                      "")) {
        return FALSE;
    }
    collection->report->blobs = (guint64)database_changes(collection->change.writer);
    collection->change.moved |= collection->report->blobs > 0;
    return database_run(collection->change.writer, error,
                        "DELETE FROM measures WHERE manifest NOT IN (SELECT digest FROM blobs)", "");
}

/* --- pieces --- */

typedef struct {
    gint64 piece;
    guint32 length;
} Dead;

static gboolean mark(Connection *connection, GByteArray *live, GError **error)
{
    gint64 highest;
    GError *problem = NULL;
    if (!database_number(connection, &highest, 0, error, "SELECT max(id) FROM pieces", "")) {
        return FALSE;
    }
    g_byte_array_set_size(live, (guint)(highest / 8 + 1));
    memset(live->data, 0, live->len);
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT pieces FROM blobs", "");
    while (database_step(rows, &problem)) {
        const guint32 *pieces = sqlite3_column_blob(rows, 0);
        guint count = (guint)sqlite3_column_bytes(rows, 0) / sizeof *pieces;
        for (guint i = 0; i < count; i++) {
            guint32 piece = GUINT32_FROM_LE(pieces[i]);
            if (piece / 8 < live->len) {
                live->data[piece / 8] |= (guint8)(1u << (piece % 8));
            }
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return problem == NULL;
}

/* Pieces that no blob has. Those beyond the marks are younger than they. */
static GArray *list_dead(Connection *connection, GError **error)
{
    g_autoptr(GByteArray) live = g_byte_array_new();
    g_autoptr(GArray) dead = g_array_new(FALSE, FALSE, sizeof(Dead));
    GError *problem = NULL;
    if (!mark(connection, live, error)) {
        return NULL;
    }
    g_autoptr(sqlite3_stmt) rows = database_query(connection, "SELECT id, length FROM pieces ORDER BY id", "");
    while (database_step(rows, &problem)) {
        Dead one = {.piece = sqlite3_column_int64(rows, 0), .length = (guint32)sqlite3_column_int64(rows, 1)};
        if (one.piece / 8 < live->len && (live->data[one.piece / 8] & (1u << (one.piece % 8))) == 0) {
            g_array_append_val(dead, one);
        }
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
        return NULL;
    }
    return g_steal_pointer(&dead);
}

static gboolean in_use(const Storage *storage, gint64 piece)
{
    gpointer key = GUINT_TO_POINTER((guint)piece);
    return g_hash_table_contains(storage->pins, key) || g_hash_table_contains(storage->touched, key);
}

static gboolean sweep_batch(Storage *storage, const Dead *dead, guint count, CollectReport *report, GError **error)
{
    Change change;
    gboolean ok = TRUE;
    guint64 pieces = 0, bytes = 0;
    if (!change_begin(storage, &change, error)) {
        return FALSE;
    }
    /* Until it is committed: whoever finds a piece pins it under this lock. */
    g_mutex_lock(&storage->pins_lock);
    for (guint i = 0; ok && i < count; i++) {
        if (!in_use(storage, dead[i].piece)) {
            ok = database_run(change.writer, error, "DELETE FROM pieces WHERE id=?", "i", dead[i].piece);
            pieces++;
            bytes += dead[i].length;
        }
    }
    ok = change_end(&change, ok, error);
    g_mutex_unlock(&storage->pins_lock);
    report->pieces += ok ? pieces : 0;
    report->bytes += ok ? bytes : 0;
    return ok;
}

static gboolean sweep(Storage *storage, const GArray *dead, CollectReport *report, GError **error)
{
    for (guint i = 0; i < dead->len; i += BATCH) {
        if (!sweep_batch(storage, &g_array_index(dead, Dead, i), MIN(BATCH, dead->len - i), report, error)) {
            return FALSE;
        }
        g_usleep(PAUSE_USEC);
    }
    return TRUE;
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
    g_autoptr(GArray) dead = ok && dry ? list_dead(collection->change.writer, error) : NULL;
    for (guint i = 0; dead != NULL && i < dead->len; i++) {
        collection->report->pieces++;
        collection->report->bytes += g_array_index(dead, Dead, i).length;
    }
    ok = ok && (!dry || dead != NULL);
    gboolean done = change_end(&collection->change, ok && !dry, error);
    return dry ? ok : done;
}

static gboolean mark_and_sweep(Storage *storage, CollectReport *report, GError **error)
{
    g_autoptr(GArray) dead = NULL;
    {
        g_autoptr(Connection) reader = database_reader(storage->catalogue, error);
        dead = reader == NULL ? NULL : list_dead(reader, error);
    }
    return dead != NULL && sweep(storage, dead, report, error);
}

/* From now on, what comes into use is noted: the marking that follows may not see it. */
static gboolean begin_touching(Storage *storage)
{
    g_mutex_lock(&storage->pins_lock);
    gboolean free = storage->touched == NULL;
    if (free) {
        storage->touched = g_hash_table_new(NULL, NULL);
    }
    g_mutex_unlock(&storage->pins_lock);
    return free;
}

static void end_touching(Storage *storage)
{
    g_mutex_lock(&storage->pins_lock);
    g_clear_pointer(&storage->touched, g_hash_table_unref);
    g_mutex_unlock(&storage->pins_lock);
}

gboolean storage_collect(Storage *storage, const CollectOptions *options, CollectReport *report, GError **error)
{
    Collection collection = {.options = options, .report = report};
    memset(report, 0, sizeof *report);
    if (!begin_touching(storage)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "garbage is being collected already");
        return FALSE;
    }
    if (!options->dry_run) {
        uploads_sweep(storage);
    }
    gboolean ok =
        let_go(storage, &collection, error) &&
        (options->dry_run || (mark_and_sweep(storage, report, error) && compact_packs(storage, &collection, error)));
    end_touching(storage);
    return ok;
}

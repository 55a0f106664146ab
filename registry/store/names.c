/* Names: what index.json says, and what is dropped with a name. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "image/hub.h"
#include "store/collect.h"
#include "store/hold.h"
#include "store/reach.h"

void ingot_store_entry_free(IngotStoreEntry *entry)
{
    if (entry != NULL) {
        g_free(entry->name);
        g_free(entry->tag);
        g_free(entry->index);
        g_free(entry->architecture);
        g_free(entry);
    }
}

IngotStoreEntry *layout_copy_entry(const IngotStoreEntry *entry)
{
    IngotStoreEntry *copy = g_memdup2(entry, sizeof *entry);
    copy->name = g_strdup(entry->name);
    copy->tag = g_strdup(entry->tag);
    copy->index = g_strdup(entry->index);
    copy->architecture = g_strdup(entry->architecture);
    return copy;
}

static gint by_name_and_tag(gconstpointer a, gconstpointer b)
{
    const IngotStoreEntry *x = *(IngotStoreEntry *const *)a, *y = *(IngotStoreEntry *const *)b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : ingot_tag_compare(x->tag == NULL ? "" : x->tag, y->tag == NULL ? "" : y->tag);
}

/* The images that have a name, or those that lost theirs. */
static GPtrArray *list_of(const json_t *index, gboolean former)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_store_entry_free);
    const json_t *rows = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        g_autoptr(IngotStoreEntry) entry = g_new0(IngotStoreEntry, 1);
        if (!layout_row(row, &entry->manifest, &entry->name, &entry->tag)) {
            continue;
        }
        if (former && layout_former(row) != NULL) {
            layout_split_name(layout_former(row), &entry->name, &entry->tag);
            g_clear_pointer(&entry->tag, g_free);
            entry->former = TRUE;
        }
        entry->index = g_strdup(layout_index(row));
        entry->architecture = g_strdup(layout_architecture(row));
        if (entry->name != NULL && entry->former == former) {
            g_ptr_array_add(list, g_steal_pointer(&entry));
        }
    }
    g_ptr_array_sort(list, by_name_and_tag);
    return list;
}

GPtrArray *ingot_store_list(IngotStore *store, GError **error)
{
    g_autoptr(json_t) index = layout_read(store, error);
    return index == NULL ? NULL : list_of(index, FALSE);
}

GPtrArray *ingot_store_list_former(IngotStore *store, GError **error)
{
    g_autoptr(json_t) index = layout_read(store, error);
    return index == NULL ? NULL : list_of(index, TRUE);
}

/* The number of the row of this name, or -1. By digest alone (tag NULL), an image has a row of its own for each digest
 * that it was pulled by. */
static ssize_t find_row(const json_t *rows, const char *name, const char *tag, const char *index,
                        const IngotDigest *digest)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        IngotDescriptor manifest;
        g_autofree char *row_name = NULL, *row_tag = NULL;
        if (layout_row(row, &manifest, &row_name, &row_tag) && g_strcmp0(row_name, name) == 0 &&
            g_strcmp0(row_tag, tag) == 0 &&
            (tag != NULL ||
             (g_strcmp0(layout_index(row), index) == 0 && ingot_digest_equal(&manifest.digest, digest)))) {
            return (ssize_t)i;
        }
    }
    return -1;
}

static gboolean check_there(IngotStore *store, const IngotDescriptor *blob, GError **error)
{
    if (ingot_store_has(store, &blob->digest)) {
        return TRUE;
    }
    g_autofree char *digest = ingot_digest_to_text(&blob->digest);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "its blob %s is not in the store", digest);
    return FALSE;
}

/* The image that is to be named is there: its manifest, and, of one of ours, what the store's verbs read of it (other
 * layers, as those of a shared node, may be nobody's here). *reached: all that it names. */
static gboolean check_whole(IngotStore *store, const IngotDescriptor *manifest, GHashTable *reached, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_store_read(store, &manifest->digest, INGOT_MANIFEST_MAX, error);
    if (bytes == NULL || !reach_add(store, &manifest->digest, reached, error)) {
        return FALSE;
    }
    g_autoptr(IngotManifest) image =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "manifest", NULL);
    gboolean there = image == NULL || check_there(store, &image->config, error);
    for (guint i = 0; there && image != NULL && i < image->disks->len; i++) {
        const IngotDiskPair *pair = ingot_manifest_disk(image, i);
        there = check_there(store, &pair->index, error) && check_there(store, &pair->disk, error);
    }
    return there;
}

/* The number of the row by which an image has this very name, or -1: a name may have an image for each architecture. */
static ssize_t find_image_row(const json_t *rows, const IngotStoreEntry *entry)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (layout_row(row, &manifest, &name, &tag) && ingot_digest_equal(&manifest.digest, &entry->manifest.digest) &&
            g_strcmp0(name, entry->name) == 0 && g_strcmp0(tag, entry->tag) == 0 &&
            (tag != NULL || g_strcmp0(layout_index(row), entry->index) == 0)) {
            return (ssize_t)i;
        }
    }
    return -1;
}

/* The number of the row of an image that lost its name, or -1. */
static ssize_t find_former_row(const json_t *rows, const IngotDigest *digest)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (layout_former(row) != NULL && layout_row(row, &manifest, &name, &tag) &&
            ingot_digest_equal(&manifest.digest, digest)) {
            return (ssize_t)i;
        }
    }
    return -1;
}

static gboolean is_named(const json_t *rows, const IngotDigest *digest)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (layout_row(json_array_get(rows, i), &manifest, &name, &tag) && name != NULL &&
            ingot_digest_equal(&manifest.digest, digest)) {
            return TRUE;
        }
    }
    return FALSE;
}

/* An image whose last name another takes stays, without one, until it is collected. */
static void keep_former(json_t *rows, const json_t *old)
{
    IngotDescriptor manifest;
    g_autofree char *name = NULL, *tag = NULL;
    if (!layout_row(old, &manifest, &name, &tag) || is_named(rows, &manifest.digest)) {
        return;
    }
    g_autofree char *full = ingot_name_to_text(name, tag);
    json_t *row = layout_new_row(INGOT_TYPE_MANIFEST, INGOT_TYPE_IMAGE, &manifest);
    layout_annotate(row, LAYOUT_FORMER, full);
    json_array_append_new(rows, row);
}

static void set_row(json_t *rows, ssize_t old, json_t *row, const IngotDigest *digest)
{
    g_autoptr(json_t) replaced = old < 0 ? NULL : json_incref(json_array_get(rows, (size_t)old));
    if (replaced == NULL) {
        json_array_append(rows, row);
    } else {
        json_array_set(rows, (size_t)old, row);
        keep_former(rows, replaced);
    }
    ssize_t former = find_former_row(rows, digest);
    if (former >= 0) {
        json_array_remove(rows, (size_t)former);
    }
}

/* A tag that is given names one image, by one row: the others of that name lose it. TRUE: there were some. */
static gboolean drop_others(json_t *rows, const char *name, const char *tag, const json_t *kept)
{
    gboolean dropped = FALSE;
    for (size_t i = 0; tag != NULL && i < json_array_size(rows);) {
        json_t *row = json_array_get(rows, i);
        IngotDescriptor manifest;
        g_autofree char *row_name = NULL, *row_tag = NULL;
        if (row == kept || !layout_row(row, &manifest, &row_name, &row_tag) || g_strcmp0(row_name, name) != 0 ||
            g_strcmp0(row_tag, tag) != 0) {
            i++;
            continue;
        }
        g_autoptr(json_t) other = json_incref(row);
        json_array_remove(rows, i);
        keep_former(rows, other);
        dropped = TRUE;
    }
    return dropped;
}

/* What a name must have been for it to move. */
typedef struct {
    const IngotDigest *before; /* NULL: no name */
    gboolean moved;            /* it was that */
} Move;

static gboolean may_move(const Move *move, const json_t *rows, ssize_t old, const IngotDigest *new)
{
    IngotDescriptor now;
    g_autofree char *name = NULL, *tag = NULL;
    if (old < 0) {
        return move->before == NULL;
    }
    return layout_row(json_array_get(rows, (size_t)old), &now, &name, &tag) &&
           (ingot_digest_equal(&now.digest, new) ||
            (move->before != NULL && ingot_digest_equal(&now.digest, move->before)));
}

/* move NULL: whatever the name was. */
static gboolean write_name(IngotStore *store, const char *name, const char *tag, const char *index_digest,
                           const IngotDescriptor *manifest, Move *move, GError **error)
{
    g_autoptr(GHashTable) reached = reach_new();
    g_autoptr(IngotLock) lock = layout_lock(store, error);
    g_autoptr(json_t) index = lock == NULL ? NULL : layout_read(store, error);
    if (index == NULL) {
        return FALSE;
    }
    g_autofree char *local = hub_local_name(name), *full = ingot_name_to_text(local, tag);
    if (!check_whole(store, manifest, reached, error)) {
        g_prefix_error(error, "%s: ", full);
        return FALSE;
    }
    json_t *rows = json_object_get(index, "manifests");
    g_autoptr(json_t) row = layout_new_row(INGOT_TYPE_MANIFEST, INGOT_TYPE_IMAGE, manifest);
    layout_annotate(row, LAYOUT_NAME, full);
    if (index_digest != NULL) {
        layout_annotate(row, LAYOUT_INDEX, index_digest);
    }
    ssize_t old = find_row(rows, local, tag, index_digest, &manifest->digest);
    if (move != NULL && !(move->moved = may_move(move, rows, old, &manifest->digest))) {
        return TRUE;
    }
    gboolean same = old >= 0 && json_equal(json_array_get(rows, (size_t)old), row);
    if (!same) {
        set_row(rows, old, row, &manifest->digest);
    }
    same = !drop_others(rows, local, tag, same ? json_array_get(rows, (size_t)old) : row) && same;
    if (!layout_sync_blobs(store, error) || (!same && !layout_write(store, index, error))) {
        return FALSE;
    }
    hold_drop_all(store, reached);
    return TRUE;
}

gboolean layout_name(IngotStore *store, const char *name, const char *tag, const char *index_digest,
                     const IngotDescriptor *manifest, GError **error)
{
    return write_name(store, name, tag, index_digest, manifest, NULL, error);
}

gboolean layout_move_tag(IngotStore *store, const char *name, const char *tag, const IngotDigest *before,
                         const IngotDescriptor *manifest, gboolean *moved, GError **error)
{
    Move move = {.before = before};
    gboolean ok = write_name(store, name, tag, NULL, manifest, &move, error);
    *moved = move.moved;
    return ok;
}

gboolean ingot_store_tag(IngotStore *store, const char *name, const char *tag, const IngotDescriptor *manifest,
                         GError **error)
{
    return layout_name(store, name, tag, NULL, manifest, error);
}

gboolean ingot_store_remove(IngotStore *store, const IngotStoreEntry *entry, IngotRemoval *removal, GError **error)
{
    g_autoptr(IngotLock) lock = layout_lock(store, error);
    g_autoptr(json_t) index = lock == NULL ? NULL : layout_read(store, error);
    g_auto(Collection) collection = {0};
    IngotRemoval own = {0}, *done = removal == NULL ? &own : removal;
    *done = (IngotRemoval){0};
    if (index == NULL) {
        return FALSE;
    }
    json_t *rows = json_object_get(index, "manifests");
    ssize_t row = entry->former ? find_former_row(rows, &entry->manifest.digest) : find_image_row(rows, entry);
    /* Another process was first: the image has gone, or the name is another's by now. */
    if (row < 0) {
        return TRUE;
    }
    json_array_remove(rows, (size_t)row);
    collect_begin(&collection, store, rows, &entry->manifest.digest);
    gboolean again;
    if (!collect_write(store, index, &again, error)) {
        return FALSE;
    }
    *done = (IngotRemoval){.freed = collect_finish(&collection, store), .unread = collection.unread};
    if (again && !layout_write(store, index, error)) {
        return FALSE;
    }
    if (collection.problem != NULL) {
        g_propagate_prefixed_error(error, g_steal_pointer(&collection.problem),
                                   "the name is removed, but its blobs stay until `ingot gc`, since what else needs "
                                   "them cannot be told: ");
        return FALSE;
    }
    return TRUE;
}

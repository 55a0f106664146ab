/* Names: what index.json says, and what is dropped with a name. */
#include <errno.h>
#include <ingot/error.h>
#include <ingot/text.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/frametables.h"
#include "store/layout.h"

void ingot_store_entry_free(IngotStoreEntry *entry)
{
    if (entry != NULL) {
        g_free(entry->name);
        g_free(entry->tag);
        g_free(entry->media_type);
        g_free(entry);
    }
}

static gint by_name_and_tag(gconstpointer a, gconstpointer b)
{
    const IngotStoreEntry *x = *(IngotStoreEntry *const *)a, *y = *(IngotStoreEntry *const *)b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order : ingot_tag_compare(x->tag == NULL ? "" : x->tag, y->tag == NULL ? "" : y->tag);
}

static GPtrArray *list_of(const json_t *index)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)ingot_store_entry_free);
    const json_t *rows = json_object_get(index, "manifests");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        g_autoptr(IngotStoreEntry) entry = g_new0(IngotStoreEntry, 1);
        entry->media_type = g_strdup(json_string_value(json_object_get(row, "mediaType")));
        if (layout_row(row, &entry->manifest, &entry->name, &entry->tag) && entry->name != NULL) {
            g_ptr_array_add(list, g_steal_pointer(&entry));
        }
    }
    g_ptr_array_sort(list, by_name_and_tag);
    return list;
}

GPtrArray *ingot_store_list(IngotStore *store, GError **error)
{
    g_autoptr(json_t) index = layout_read(store, error);
    return index == NULL ? NULL : list_of(index);
}

/* No image of the store has the reference's name. */
static gboolean unknown_name(const IngotReference *reference, const char *name, GPtrArray *list, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < list->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(list, i);
        g_ptr_array_add(names,
                        entry->tag == NULL ? g_strdup(entry->name) : g_strdup_printf("%s:%s", entry->name, entry->tag));
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *wanted = reference->tag == NULL ? g_strdup(name) : g_strdup_printf("%s:%s", name, reference->tag);
    g_autofree char *hint = ingot_text_suggestion(wanted, (const char *const *)names->pdata);
    g_autofree char *text = ingot_reference_to_text(reference);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no image %s in the store%s; `ingot images` lists them",
                text, hint);
    return FALSE;
}

static GStrv tags_of(GPtrArray *list, const char *name)
{
    g_autoptr(GStrvBuilder) tags = g_strv_builder_new();
    for (guint i = 0; i < list->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(list, i);
        if (strcmp(entry->name, name) == 0 && entry->tag != NULL) {
            g_strv_builder_add(tags, entry->tag);
        }
    }
    return g_strv_builder_end(tags);
}

static gboolean has_name(GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        if (strcmp(((IngotStoreEntry *)g_ptr_array_index(list, i))->name, name) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean not_found(const IngotReference *reference, const char *name, GPtrArray *list, GError **error)
{
    if (!has_name(list, name)) {
        return unknown_name(reference, name, list, error);
    }
    if (reference->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s%s%s does not name %s in the store", name,
                    reference->tag == NULL ? "" : ":", reference->tag == NULL ? "" : reference->tag, reference->digest);
        return FALSE;
    }
    g_auto(GStrv) tags = tags_of(list, name);
    return ingot_tag_missing(name, " in the store", reference->tag, tags, error);
}

static gboolean matches(const IngotStoreEntry *entry, const char *name, const char *tag, const char *wanted)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&entry->manifest.digest, digest);
    return strcmp(entry->name, name) == 0 && (tag == NULL || g_strcmp0(entry->tag, tag) == 0) &&
           (wanted == NULL || strcmp(wanted, digest) == 0);
}

IngotStoreEntry *ingot_store_find(IngotStore *store, const IngotReference *reference, GError **error)
{
    g_autoptr(GPtrArray) list = ingot_store_list(store, error);
    if (list == NULL) {
        return NULL;
    }
    g_autofree char *name = reference->host == NULL ? g_strdup(reference->name)
                                                    : g_strdup_printf("%s/%s", reference->host, reference->name);
    g_auto(GStrv) tags = tags_of(list, name);
    const char *tag = reference->tag;
    if (tag == NULL && reference->digest == NULL && has_name(list, name) &&
        (tag = ingot_tag_choose(name, " in the store", tags, error)) == NULL) {
        return NULL;
    }
    for (guint i = 0; i < list->len; i++) {
        if (matches(g_ptr_array_index(list, i), name, tag, reference->digest)) {
            return g_ptr_array_steal_index(list, i);
        }
    }
    not_found(reference, name, list, error);
    return NULL;
}

/* The number of the row that has this name, or -1. */
static ssize_t find_row(const json_t *rows, const char *name, const char *tag)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        IngotDescriptor manifest;
        g_autofree char *row_name = NULL, *row_tag = NULL;
        if (layout_row(json_array_get(rows, i), &manifest, &row_name, &row_tag) && g_strcmp0(row_name, name) == 0 &&
            g_strcmp0(row_tag, tag) == 0) {
            return (ssize_t)i;
        }
    }
    return -1;
}

gboolean ingot_store_tag(IngotStore *store, const char *name, const char *tag, const IngotDescriptor *manifest,
                         GError **error)
{
    g_autoptr(IngotLock) lock = layout_lock(store, error);
    g_autoptr(json_t) index = lock == NULL ? NULL : layout_read(store, error);
    if (index == NULL) {
        return FALSE;
    }
    json_t *rows = json_object_get(index, "manifests");
    json_t *row = layout_new_row(name, tag, INGOT_TYPE_IMAGE, manifest);
    ssize_t old = find_row(rows, name, tag);
    if (old >= 0 && json_equal(json_array_get(rows, (size_t)old), row)) {
        json_decref(row);
        return TRUE;
    }
    if (old >= 0) {
        json_array_set_new(rows, (size_t)old, row);
    } else {
        json_array_append_new(rows, row);
    }
    return layout_write(store, index, error);
}

/* --- removal --- */

/* The digests (as text) that a manifest of the store names: its own, config, layers, subject apart. */
static void add_reached(IngotStore *store, const IngotDigest *digest, GHashTable *set)
{
    g_hash_table_add(set, ingot_digest_to_text(digest));
    g_autoptr(GBytes) bytes = ingot_store_read(store, digest, INGOT_MANIFEST_MAX, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL
                      : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "manifest", NULL);
    const char *config = json_string_value(json_object_get(json_object_get(root, "config"), "digest"));
    if (config != NULL) {
        g_hash_table_add(set, g_strdup(config));
    }
    const json_t *layers = json_object_get(root, "layers");
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const char *layer = json_string_value(json_object_get(json_array_get(layers, i), "digest"));
        if (layer != NULL) {
            g_hash_table_add(set, g_strdup(layer));
        }
    }
}

static char *subject_of(IngotStore *store, const IngotDigest *digest)
{
    g_autoptr(GBytes) bytes = ingot_store_read(store, digest, INGOT_MANIFEST_MAX, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL
                      : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "manifest", NULL);
    return g_strdup(json_string_value(json_object_get(json_object_get(root, "subject"), "digest")));
}

/* Takes out the rows of what is attached to something that goes, until none is left. What is attached to an image that
 * has no name, but does not go, stays: that is how an image begins. */
static void drop_attachments(IngotStore *store, json_t *rows, GHashTable *named, GHashTable *gone)
{
    for (size_t i = json_array_size(rows); i-- > 0;) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (!layout_row(json_array_get(rows, i), &manifest, &name, &tag) || name != NULL) {
            continue;
        }
        g_autofree char *subject = subject_of(store, &manifest.digest);
        if (subject != NULL && g_hash_table_contains(gone, subject) && !g_hash_table_contains(named, subject)) {
            add_reached(store, &manifest.digest, gone);
            json_array_remove(rows, i);
            i = json_array_size(rows); /* what is attached to this may stand before or behind it */
        }
    }
}

/* An image that has no name yet is reached by what is attached to it. */
static void add_rows(IngotStore *store, const json_t *rows, GHashTable *reached)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (!layout_row(json_array_get(rows, i), &manifest, &name, &tag)) {
            continue;
        }
        add_reached(store, &manifest.digest, reached);
        g_autofree char *subject = name == NULL ? subject_of(store, &manifest.digest) : NULL;
        IngotDigest above;
        if (subject != NULL && ingot_digest_parse(subject, &above, NULL)) {
            add_reached(store, &above, reached);
        }
    }
}

static GHashTable *named_digests(const json_t *rows)
{
    GHashTable *named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (layout_row(json_array_get(rows, i), &manifest, &name, &tag) && name != NULL) {
            g_hash_table_add(named, ingot_digest_to_text(&manifest.digest));
        }
    }
    return named;
}

/* The bytes that it frees. */
static guint64 drop_blobs(IngotStore *store, GHashTable *gone, GHashTable *reached)
{
    guint64 freed = 0;
    GHashTableIter iter;
    gpointer text;
    g_hash_table_iter_init(&iter, gone);
    while (g_hash_table_iter_next(&iter, &text, NULL)) {
        IngotDigest digest;
        if (g_hash_table_contains(reached, text) || !ingot_digest_parse(text, &digest, NULL)) {
            continue;
        }
        g_autofree char *path = ingot_store_blob_path(store, &digest);
        struct stat st;
        if (stat(path, &st) == 0 && unlink(path) == 0) {
            freed += (guint64)st.st_size;
            frametables_drop(store, &digest);
            ingot_store_drop_frames(store, &digest);
        }
    }
    return freed;
}

gboolean ingot_store_remove(IngotStore *store, const IngotStoreEntry *entry, guint64 *freed, GError **error)
{
    g_autoptr(IngotLock) lock = layout_lock(store, error);
    g_autoptr(json_t) index = lock == NULL ? NULL : layout_read(store, error);
    if (index == NULL) {
        return FALSE;
    }
    json_t *rows = json_object_get(index, "manifests");
    ssize_t row = find_row(rows, entry->name, entry->tag);
    if (row >= 0) {
        json_array_remove(rows, (size_t)row);
    }
    /* Only what this image reached may go: another process may be about to name a blob that nothing reaches yet. */
    g_autoptr(GHashTable) gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) reached = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GHashTable) named = named_digests(rows);
    add_reached(store, &entry->manifest.digest, gone);
    drop_attachments(store, rows, named, gone);
    add_rows(store, rows, reached);
    if (!layout_write(store, index, error)) {
        return FALSE;
    }
    guint64 bytes = drop_blobs(store, gone, reached);
    if (freed != NULL) {
        *freed = bytes;
    }
    return TRUE;
}

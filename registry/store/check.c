/* A look at all that the store names: whether it is there, and has the digest of its name. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "store/lacking.h"
#include "store/meant.h"
#include "store/reach.h"

#define STEPS_MOST 8u /* of things attached to things attached */

static void fault_free(gpointer data)
{
    IngotStoreFault *fault = data;
    ingot_store_entry_free(fault->entry);
    g_free(fault->problem);
    g_free(fault);
}

/* Of an image, or of what is attached to it; image NULL: of something that belongs to no image that is known. */
typedef struct {
    const IngotStoreEntry *image;
    gboolean attached;
} Owner;

static void add_fault(GPtrArray *faults, Owner owner, const char *problem)
{
    const IngotStoreEntry *entry = owner.image;
    IngotStoreFault *fault = g_new0(IngotStoreFault, 1);
    fault->attached = owner.attached;
    fault->problem = g_strdup(problem);
    if (entry != NULL) {
        fault->entry = layout_copy_entry(entry);
    }
    g_ptr_array_add(faults, fault);
}

/* Each blob is read once: seen has what was found of it, NULL where it is whole. */
static const char *blob_problem(IngotStore *store, const char *text, GHashTable *seen)
{
    gpointer known;
    IngotDigest wanted, found;
    if (g_hash_table_lookup_extended(seen, text, NULL, &known)) {
        return known;
    }
    char *problem = NULL;
    if (ingot_digest_parse(text, &wanted, NULL)) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = ingot_store_blob_path(store, &wanted);
        if (!ingot_store_has(store, &wanted)) {
            problem = g_strdup_printf("%s: there is no such file, or something else in its place", path);
        } else if (!ingot_digest_of_file(path, &found, NULL, &error)) {
            problem = g_strdup(error->message);
        } else if (!ingot_digest_equal(&wanted, &found)) {
            problem = g_strdup_printf("%s: damaged: its bytes do not have the digest of its name", path);
        }
    }
    g_hash_table_insert(seen, g_strdup(text), problem);
    return problem;
}

static void check_reached(IngotStore *store, Owner owner, const IngotDigest *manifest, GHashTable *seen,
                          GPtrArray *faults)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GHashTable) reached = reach_new();
    g_autoptr(json_t) unfetched = lacking_load_layers(store, manifest);
    if (!reach_add(store, manifest, reached, &error)) {
        add_fault(faults, owner, error->message);
        return;
    }
    GHashTableIter iter;
    gpointer text;
    g_hash_table_iter_init(&iter, reached);
    while (g_hash_table_iter_next(&iter, &text, NULL)) {
        const char *problem = lacking_is_layer(unfetched, text) ? NULL : blob_problem(store, text, seen);
        if (problem != NULL) {
            add_fault(faults, owner, problem);
        }
    }
}

static void check_entries(IngotStore *store, GPtrArray *entries, GHashTable *seen, GPtrArray *faults)
{
    for (guint i = 0; i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        check_reached(store, (Owner){.image = entry}, &entry->manifest.digest, seen, faults);
    }
}

/* By its digest, each image that has a name, or had one. */
static GHashTable *images_by_digest(GPtrArray *named, GPtrArray *former)
{
    GHashTable *images = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (guint i = former->len; i-- > 0;) {
        IngotStoreEntry *entry = g_ptr_array_index(former, i);
        g_hash_table_insert(images, ingot_digest_to_text(&entry->manifest.digest), entry);
    }
    for (guint i = named->len; i-- > 0;) {
        IngotStoreEntry *entry = g_ptr_array_index(named, i);
        g_hash_table_insert(images, ingot_digest_to_text(&entry->manifest.digest), entry);
    }
    return images;
}

/* By the digest of each attachment, what it is attached to. */
static GHashTable *subjects_by_digest(IngotStore *store, const json_t *rows)
{
    GHashTable *subjects = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        char *subject = reach_subject(store, row);
        if (subject != NULL) {
            g_hash_table_insert(subjects, g_strdup(json_string_value(json_object_get(row, "digest"))), subject);
        }
    }
    return subjects;
}

/* The image that something is attached to, or that what it is attached to is attached to. */
static const IngotStoreEntry *image_above(GHashTable *images, GHashTable *subjects, const char *digest)
{
    const IngotStoreEntry *image = NULL;
    for (guint i = 0; image == NULL && digest != NULL && i < STEPS_MOST; i++) {
        digest = g_hash_table_lookup(subjects, digest);
        image = digest == NULL ? NULL : g_hash_table_lookup(images, digest);
    }
    return image;
}

/* The rows without a name: what is attached, and what other tools have put there. */
static void check_nameless(IngotStore *store, const json_t *rows, GHashTable *images, GHashTable *seen,
                           GPtrArray *faults)
{
    g_autoptr(GHashTable) subjects = subjects_by_digest(store, rows);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        IngotDescriptor manifest;
        g_autofree char *name = NULL, *tag = NULL;
        if (!layout_row(row, &manifest, &name, &tag)) {
            add_fault(faults, (Owner){0}, "index.json: one of its rows is damaged");
        } else if (name == NULL && layout_former(row) == NULL) {
            g_autofree char *digest = ingot_digest_to_text(&manifest.digest);
            const Owner owner = {image_above(images, subjects, digest), TRUE};
            check_reached(store, owner, &manifest.digest, seen, faults);
        }
    }
}

/* What another command has removed, or given its name to another, while all of it was read, is no fault. */
static gboolean drop_gone(IngotStore *store, GPtrArray *faults, GError **error)
{
    g_autoptr(GPtrArray) named = ingot_store_list(store, error);
    g_autoptr(GPtrArray) former = named == NULL ? NULL : ingot_store_list_former(store, error);
    for (guint i = faults->len; former != NULL && i-- > 0;) {
        const IngotStoreFault *fault = g_ptr_array_index(faults, i);
        if (fault->entry != NULL && !meant_is_among(named, fault->entry) && !meant_is_among(former, fault->entry)) {
            g_ptr_array_remove_index(faults, i);
        }
    }
    return former != NULL;
}

GPtrArray *ingot_store_check(IngotStore *store, GError **error)
{
    g_autoptr(json_t) index = layout_read(store, error);
    g_autoptr(GPtrArray) named = index == NULL ? NULL : ingot_store_list(store, error);
    g_autoptr(GPtrArray) former = named == NULL ? NULL : ingot_store_list_former(store, error);
    if (former == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) faults = g_ptr_array_new_with_free_func(fault_free);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(GHashTable) images = images_by_digest(named, former);
    check_entries(store, named, seen, faults);
    check_entries(store, former, seen, faults);
    check_nameless(store, json_object_get(index, "manifests"), images, seen, faults);
    /* What was broken off is no fault. */
    return ingot_interrupt_check(error) && drop_gone(store, faults, error) ? g_steal_pointer(&faults) : NULL;
}

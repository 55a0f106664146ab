#include "store/reach.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"

#define DEPTH_MOST 8u /* of indexes within indexes */

GHashTable *reach_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* The value of a digest whose manifest was opened, and all that it names added. Another's is NULL: being named by
 * somebody, as a mere layer say, opens nothing. */
#define OPENED GINT_TO_POINTER(1)

gboolean reach_opened(GHashTable *set, const char *digest)
{
    return g_hash_table_lookup(set, digest) == OPENED;
}

void reach_note(GHashTable *set, const char *digest)
{
    if (!g_hash_table_contains(set, digest)) {
        g_hash_table_insert(set, g_strdup(digest), NULL);
    }
}

json_t *reach_read(IngotStore *store, const IngotDigest *digest, GBytes **bytes, GError **error)
{
    g_autofree char *path = ingot_store_blob_path(store, digest);
    g_autoptr(GBytes) own = ingot_store_read(store, digest, INGOT_MANIFEST_MAX, error);
    json_t *root = ingot_json_parse_bytes(own, path, INGOT_MANIFEST_VALUES, error);
    if (bytes != NULL) {
        *bytes = root == NULL ? NULL : g_steal_pointer(&own);
    }
    return root;
}

static void add_descriptor(const json_t *descriptor, GHashTable *set)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    if (digest != NULL) {
        reach_note(set, digest);
    }
}

static void add_list(const json_t *list, GHashTable *set)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        add_descriptor(json_array_get(list, i), set);
    }
}

static gboolean add_manifest(IngotStore *store, const IngotDigest *digest, guint depth, GHashTable *set,
                             GError **error);

/* A copy of an index may leave some of its manifests out. */
static gboolean add_children(IngotStore *store, const json_t *root, guint depth, GHashTable *set, GError **error)
{
    const json_t *children = json_object_get(root, "manifests");
    for (size_t i = 0; i < json_array_size(children); i++) {
        const char *text = json_string_value(json_object_get(json_array_get(children, i), "digest"));
        IngotDigest digest;
        if (text != NULL && ingot_digest_parse(text, &digest, NULL) && ingot_store_has(store, &digest) &&
            !add_manifest(store, &digest, depth + 1, set, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* All that a manifest names, which was read. */
static gboolean add_named(IngotStore *store, const json_t *root, guint depth, GHashTable *set, GError **error)
{
    if (depth > DEPTH_MOST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "more than %u indexes within each other", DEPTH_MOST);
        return FALSE;
    }
    add_descriptor(json_object_get(root, "config"), set);
    add_list(json_object_get(root, "layers"), set);
    add_list(json_object_get(root, "blobs"), set); /* of an artifact's manifest, as older tools made them */
    return add_children(store, root, depth, set, error);
}

/* All that a manifest names, which was read; and then it is opened. */
static gboolean open_manifest(IngotStore *store, const char *digest, const json_t *root, guint depth, GHashTable *set,
                              GError **error)
{
    if (!add_named(store, root, depth, set, error)) {
        return FALSE;
    }
    g_hash_table_insert(set, g_strdup(digest), OPENED);
    return TRUE;
}

static gboolean add_manifest(IngotStore *store, const IngotDigest *digest, guint depth, GHashTable *set, GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    if (reach_opened(set, text)) {
        return TRUE;
    }
    reach_note(set, text);
    g_autoptr(json_t) root = reach_read(store, digest, NULL, error);
    return root != NULL && open_manifest(store, text, root, depth, set, error);
}

gboolean reach_add(IngotStore *store, const IngotDigest *manifest, GHashTable *set, GError **error)
{
    return add_manifest(store, manifest, 0, set, error);
}

/* root: the row's manifest; NULL: it can't be read. */
static const char *subject_of(const json_t *row, const json_t *root)
{
    const char *told = layout_annotation(row, LAYOUT_SUBJECT);
    return told != NULL ? told : json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
}

char *reach_subject(IngotStore *store, const json_t *row)
{
    IngotDescriptor manifest;
    g_autofree char *name = NULL, *tag = NULL;
    if (!layout_row(row, &manifest, &name, &tag) || name != NULL || layout_former(row) != NULL) {
        return NULL;
    }
    g_autoptr(json_t) root =
        layout_annotation(row, LAYOUT_SUBJECT) != NULL ? NULL : reach_read(store, &manifest.digest, NULL, NULL);
    return g_strdup(subject_of(row, root));
}

/* An image that has no name yet may not be there yet either. */
static gboolean add_subject(IngotStore *store, const char *subject, GHashTable *set)
{
    IngotDigest above;
    return subject == NULL || !ingot_digest_parse(subject, &above, NULL) || !ingot_store_has(store, &above) ||
           reach_add(store, &above, set, NULL);
}

/* FALSE: it, or the image that it is attached to, can't be read. */
static gboolean add_nameless(IngotStore *store, const json_t *row, const IngotDigest *manifest, GHashTable *set)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(manifest, text);
    reach_note(set, text);
    g_autoptr(json_t) root = reach_read(store, manifest, NULL, NULL);
    return root != NULL && open_manifest(store, text, root, 0, set, NULL) &&
           add_subject(store, subject_of(row, root), set);
}

/* A row without a name that can't be read is passed over (*unread): what that names serves nobody, and no verb could
 * remove it. Its own digest is reached. */
static gboolean add_row(IngotStore *store, const json_t *row, GHashTable *set, guint *unread, GError **error)
{
    IngotDescriptor manifest;
    g_autofree char *name = NULL, *tag = NULL;
    if (!layout_row(row, &manifest, &name, &tag)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "index.json: one of its rows is damaged");
        return FALSE;
    }
    if (name == NULL) {
        *unread += add_nameless(store, row, &manifest.digest, set) ? 0 : 1;
        return TRUE;
    }
    if (!reach_add(store, &manifest.digest, set, error)) {
        g_autofree char *full = ingot_name_to_text(name, tag);
        g_prefix_error(error, "%s: ", full);
        return FALSE;
    }
    return TRUE;
}

gboolean reach_rows(IngotStore *store, const json_t *rows, GHashTable *set, guint *unread, GError **error)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (!add_row(store, json_array_get(rows, i), set, unread, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

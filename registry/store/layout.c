#include "store/layout.h"
#include "base/json.h"

#include <ingot/error.h>
#include <string.h>

#define INDEX_MAX (64u << 20) /* bytes */
#define LAYOUT_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"

char *layout_path(const IngotStore *store, const char *name)
{
    return g_build_filename(store->path, name, NULL);
}

static gboolean layout_is_there(const IngotStore *store)
{
    g_autofree char *layout = layout_path(store, "oci-layout");
    g_autofree char *index = layout_path(store, "index.json");
    return g_file_test(layout, G_FILE_TEST_EXISTS) && g_file_test(index, G_FILE_TEST_EXISTS);
}

static json_t *layout_empty(void)
{
    return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", "application/vnd.oci.image.index.v1+json",
                     "manifests");
}

static IngotLock *layout_take_lock(const IngotStore *store, GError **error)
{
    g_autofree char *path = layout_path(store, ".lock");
    return ingot_lock_take(path, TRUE, TRUE, error);
}

static gboolean layout_make_files(const IngotStore *store, GError **error)
{
    g_autofree char *blobs = layout_path(store, "blobs/sha256");
    g_autofree char *temporary = layout_path(store, "tmp");
    g_autofree char *index_path = layout_path(store, "index.json");
    g_autofree char *layout = layout_path(store, "oci-layout");
    if (!ingot_file_make_folder(blobs, error) || !ingot_file_make_folder(temporary, error)) {
        return FALSE;
    }
    g_autoptr(IngotLock) lock = layout_take_lock(store, error);
    if (lock == NULL || (!g_file_test(layout, G_FILE_TEST_EXISTS) &&
                         !ingot_file_replace(layout, LAYOUT_FILE, strlen(LAYOUT_FILE), 0644, error))) {
        return FALSE;
    }
    g_autoptr(json_t) index = layout_empty();
    return g_file_test(index_path, G_FILE_TEST_EXISTS) || layout_write(store, index, error);
}

gboolean layout_ensure(const IngotStore *store, GError **error)
{
    /* A store that is there may be read by somebody who may not write it. */
    if (!layout_is_there(store) && !layout_make_files(store, error)) {
        g_prefix_error(error, "store: ");
        return FALSE;
    }
    return TRUE;
}

IngotLock *layout_lock(const IngotStore *store, GError **error)
{
    return layout_ensure(store, error) ? layout_take_lock(store, error) : NULL;
}

static gboolean layout_check(const IngotStore *store, GError **error)
{
    if (!ingot_file_check_folder(store->path, error)) {
        g_prefix_error(error, "store: ");
        return FALSE;
    }
    return TRUE;
}

json_t *layout_read(const IngotStore *store, GError **error)
{
    g_autofree char *path = layout_path(store, "index.json");
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = ingot_file_read(path, INDEX_MAX, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return layout_check(store, error) ? layout_empty() : NULL;
    }
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(json_t) index = ingot_json_parse(data, size, path, error);
    if (index == NULL || ingot_json_get_array(index, "manifests", path, error) == NULL) {
        return NULL;
    }
    return g_steal_pointer(&index);
}

gboolean layout_sync_blobs(const IngotStore *store, GError **error)
{
    g_autofree char *any = layout_path(store, "blobs/sha256/any");
    return ingot_file_sync_folder(any, error);
}

gboolean layout_write(const IngotStore *store, const json_t *index, GError **error)
{
    g_autofree char *path = layout_path(store, "index.json");
    return ingot_json_save(index, path, INDEX_MAX, 0644, error);
}

const char *layout_former(const json_t *row)
{
    const json_t *annotations = json_object_get(row, "annotations");
    return json_object_get(annotations, LAYOUT_NAME) != NULL
               ? NULL
               : json_string_value(json_object_get(annotations, LAYOUT_FORMER));
}

const char *layout_index(const json_t *row)
{
    return json_string_value(json_object_get(json_object_get(row, "annotations"), LAYOUT_INDEX));
}

void layout_split_name(const char *text, char **name, char **tag)
{
    /* The last colon ends the name, unless what follows is a path: then it belongs to a port. */
    const char *colon = strrchr(text, ':');
    gboolean tagged = colon != NULL && strchr(colon, '/') == NULL;
    *name = tagged ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    *tag = tagged ? g_strdup(colon + 1) : NULL;
}

gboolean layout_row(const json_t *row, IngotDescriptor *manifest, char **name, char **tag)
{
    *name = *tag = NULL;
    const char *digest = json_string_value(json_object_get(row, "digest"));
    if (digest == NULL || !ingot_digest_parse(digest, &manifest->digest, NULL) ||
        !ingot_json_get_size(row, "size", "index.json", &manifest->size, NULL)) {
        return FALSE;
    }
    const char *text = json_string_value(json_object_get(json_object_get(row, "annotations"), LAYOUT_NAME));
    if (text != NULL) {
        layout_split_name(text, name, tag);
    }
    return TRUE;
}

json_t *layout_new_row(const char *name, const char *tag, const char *artifact_type, const IngotDescriptor *manifest)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, digest);
    json_t *row = json_pack("{s:s, s:s, s:I, s:s}", "mediaType", INGOT_TYPE_MANIFEST, "digest", digest, "size",
                            (json_int_t)manifest->size, "artifactType", artifact_type);
    if (name != NULL) {
        g_autofree char *full = tag == NULL ? g_strdup(name) : g_strdup_printf("%s:%s", name, tag);
        json_object_set_new(row, "annotations", json_pack("{s:s}", LAYOUT_NAME, full));
    }
    return row;
}

#include "store/layout.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "image/hub.h"

#define INDEX_MAX (64u << 20) /* bytes */
#define LAST_NAME "index.json.last"
#define ADVICE " (`ingot fsck` tells what can be brought back)"
#define LAYOUT_FILE "{\"imageLayoutVersion\":\"1.0.0\"}"

char *layout_path(const IngotStore *store, const char *name)
{
    return g_build_filename(store->path, name, NULL);
}

char *layout_note_path(const IngotStore *store, const char *folder, const IngotDigest *of)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(of, text);
    return g_build_filename(store->path, folder, text + strlen("sha256:"), NULL);
}

static gboolean layout_is_there(const IngotStore *store)
{
    g_autofree char *layout = layout_path(store, "oci-layout");
    g_autofree char *index = layout_path(store, "index.json");
    struct stat st;
    return lstat(layout, &st) == 0 && lstat(index, &st) == 0;
}

/* A store gets its first blob after its index.json. */
static gboolean layout_has_blobs(const IngotStore *store)
{
    g_autofree char *path = layout_path(store, "blobs/sha256");
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    return folder != NULL && g_dir_read_name(folder) != NULL;
}

static gboolean layout_is_lost(const char *path, const char *advice, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s is not there, though the store has blobs%s", path, advice);
    return FALSE;
}

json_t *layout_empty(void)
{
    return json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType", INGOT_TYPE_LIST, "manifests");
}

IngotLock *layout_lock_as_it_is(const IngotStore *store, GError **error)
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
    g_autoptr(IngotLock) lock = layout_lock_as_it_is(store, error);
    if (lock == NULL || (!g_file_test(layout, G_FILE_TEST_EXISTS) &&
                         !ingot_file_replace(layout, LAYOUT_FILE, strlen(LAYOUT_FILE), 0644, error))) {
        return FALSE;
    }
    struct stat st;
    if (lstat(index_path, &st) == 0) {
        return TRUE;
    }
    g_autoptr(json_t) index = layout_empty();
    return layout_has_blobs(store) ? layout_is_lost(index_path, ADVICE, error) : layout_write(store, index, error);
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
    return layout_ensure(store, error) ? layout_lock_as_it_is(store, error) : NULL;
}

static gboolean layout_check(const IngotStore *store, GError **error)
{
    if (!ingot_file_check_folder(store->path, error)) {
        g_prefix_error(error, "store: ");
        return FALSE;
    }
    return TRUE;
}

static json_t *index_load(const char *path, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, INDEX_MAX, error);
    if (bytes == NULL) {
        return NULL;
    }
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(json_t) index = ingot_json_parse(data, size, path, error);
    return index != NULL && ingot_json_get_array(index, "manifests", path, error) != NULL ? g_steal_pointer(&index)
                                                                                          : NULL;
}

json_t *layout_load(const IngotStore *store, GError **error)
{
    g_autofree char *path = layout_path(store, "index.json");
    GError *problem = NULL;
    json_t *index = index_load(path, &problem);
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) && layout_has_blobs(store)) {
        g_clear_error(&problem); /* another process may have made the store, and put its first blob, just now */
        index = index_load(path, &problem);
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            g_error_free(problem);
            layout_is_lost(path, "", error);
            return NULL;
        }
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
        return layout_check(store, error) ? layout_empty() : NULL;
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return index;
}

json_t *layout_read(const IngotStore *store, GError **error)
{
    GError *problem = NULL;
    json_t *index = layout_load(store, &problem);
    if (problem == NULL) {
        return index;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s" ADVICE, problem->message);
        g_error_free(problem);
    } else {
        g_propagate_error(error, problem);
    }
    return NULL;
}

json_t *layout_read_last(const IngotStore *store)
{
    g_autofree char *path = layout_path(store, LAST_NAME);
    json_t *last = index_load(path, NULL);
    return last == NULL ? layout_empty() : last;
}

gboolean layout_sync_blobs(const IngotStore *store, GError **error)
{
    g_autofree char *any = layout_path(store, "blobs/sha256/any");
    return ingot_file_sync_folder(any, error);
}

/* Another name for the same file: nothing is written, and so nothing is synced. */
static void keep_last(const IngotStore *store, const char *path)
{
    g_autofree char *last = layout_path(store, LAST_NAME), *temporary = layout_path(store, ".index.json.last");
    unlink(temporary);
    if (link(path, temporary) == 0) {
        rename(temporary, last);
        unlink(temporary); /* of two names of one file, as after a write that failed, rename(2) leaves both */
    }
}

gboolean layout_mend(const IngotStore *store, const json_t *index, GError **error)
{
    g_autofree char *path = layout_path(store, "index.json");
    return ingot_json_save(index, path, INDEX_MAX, 0644, error);
}

gboolean layout_write(const IngotStore *store, const json_t *index, GError **error)
{
    g_autofree char *path = layout_path(store, "index.json");
    keep_last(store, path);
    return layout_mend(store, index, error);
}

const char *layout_annotation(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(json_object_get(row, "annotations"), key));
}

const char *layout_former(const json_t *row)
{
    return layout_annotation(row, LAYOUT_NAME) != NULL ? NULL : layout_annotation(row, LAYOUT_FORMER);
}

const char *layout_architecture(const json_t *row)
{
    return json_string_value(json_object_get(json_object_get(row, "platform"), "architecture"));
}

const char *layout_index(const json_t *row)
{
    return layout_annotation(row, LAYOUT_INDEX);
}

void layout_split_name(const char *text, char **name, char **tag)
{
    /* The last colon ends the name, unless what follows is a path: then it belongs to a port. */
    const char *colon = strrchr(text, ':');
    gboolean tagged = colon != NULL && strchr(colon, '/') == NULL;
    g_autofree char *written = tagged ? g_strndup(text, (gsize)(colon - text)) : g_strdup(text);
    *name = hub_local_name(written);
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
    const char *text = layout_annotation(row, LAYOUT_NAME);
    if (text != NULL) {
        layout_split_name(text, name, tag);
    }
    return TRUE;
}

json_t *layout_new_row(const char *media_type, const char *artifact_type, const IngotDescriptor *manifest)
{
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, digest);
    return json_pack("{s:s, s:s, s:I, s:s*}", "mediaType", media_type, "digest", digest, "size",
                     (json_int_t)manifest->size, "artifactType", artifact_type);
}

void layout_annotate(json_t *row, const char *key, const char *value)
{
    json_t *annotations = json_object_get(row, "annotations");
    if (annotations == NULL) {
        annotations = json_object();
        json_object_set_new(row, "annotations", annotations);
    }
    ingot_json_set_string(annotations, key, value);
}

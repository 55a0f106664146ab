#include "cache/record.h"

#include <ingot/file.h>
#include <string.h>

#define RECORD_MAX 4096 /* bytes */

static char *record_path(const char *cache, const IngotDigest *key)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(key, text);
    g_autofree char *file = g_strconcat(text + strlen("sha256:"), ".json", NULL);
    return g_build_filename(cache, "images", file, NULL);
}

gboolean record_find(const char *cache, IngotStore *store, const IngotDigest *key, IngotDescriptor *manifest)
{
    g_autofree char *path = record_path(cache, key);
    g_autoptr(GBytes) bytes = ingot_file_read(path, RECORD_MAX, NULL);
    if (bytes == NULL) {
        return FALSE;
    }
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    g_autoptr(json_t) record = ingot_json_parse(data, size, path, NULL);
    const char *digest = record == NULL ? NULL : ingot_json_get_string(record, "manifest", path, NULL);
    return digest != NULL && ingot_digest_parse(digest, &manifest->digest, NULL) &&
           ingot_json_get_size(record, "size", path, &manifest->size, NULL) &&
           ingot_store_has(store, &manifest->digest);
}

gboolean record_save(const char *cache, const IngotDigest *key, const IngotDescriptor *manifest, GError **error)
{
    g_autofree char *path = record_path(cache, key);
    g_autofree char *folder = g_path_get_dirname(path);
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, digest);
    g_autoptr(json_t) record =
        json_pack("{s:i, s:s, s:I}", "version", 1, "manifest", digest, "size", (json_int_t)manifest->size);
    g_autofree char *text = ingot_json_pretty(record);
    return ingot_file_replace(path, text, strlen(text), 0644, error);
}

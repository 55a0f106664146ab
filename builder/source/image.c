/* A disk that somebody else made: a file here, or one that is fetched once and kept in the cache by its digest. What
 * lies in an OVA or a Vagrant box is taken out once, and kept there too. */
#include <ingot/bundle.h>
#include <ingot/checked.h>
#include <ingot/download.h>
#include <ingot/file.h>
#include <ingot/ties.h>
#include <string.h>
#include <unistd.h>

#include "source/kinds.h"

static gboolean image_key(const SourceContext *context, const json_t *source, IngotHasher *hasher, GError **error)
{
    (void)context;
    const char *sha256 = ingot_json_get_string(source, "sha256", "source", error);
    const char *format = json_string_value(json_object_get(source, "format"));
    if (sha256 == NULL) {
        return FALSE;
    }
    source_add_text(hasher, "image");
    source_add_text(hasher, sha256);
    source_add_text(hasher, format == NULL ? "" : format);
    return TRUE;
}

/* A file of the recipe's, which may be large, is hashed once. */
static char *find_file(const SourceContext *context, const char *path, const IngotDigest *wanted, GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(wanted, text);
    g_autofree char *name = g_strdup_printf("image-%s" INGOT_DOWNLOAD_CHECKED, text + strlen("sha256:"));
    g_autofree char *record = source_cache_path(context, name, error);
    g_autofree char *file = g_canonicalize_filename(path, context->recipe->folder);
    return record != NULL && ingot_checked_once(file, wanted, record, context->progress, error) ? g_steal_pointer(&file)
                                                                                                : NULL;
}

/* With --no-cache too: the bytes are those of the digest, wherever they come from. */
static char *fetch(const SourceContext *context, const char *url, const IngotDigest *wanted, GError **error)
{
    g_autoptr(IngotLock) use = NULL;
    return ingot_download_cached(context->cache, url, wanted, context->progress, &use, error);
}

/* The disk of a bundle as a file of the cache, which gets its name when it is whole. */
static gboolean take_out(const SourceContext *context, const IngotBundle *bundle, const char *file, const char *path,
                         GError **error)
{
    g_autofree char *making = g_strconcat(path, ".making", NULL);
    ingot_progress_begin(context->progress, 0, "take the disk out of %s", file);
    if (!ingot_bundle_convert(bundle, making, error)) {
        unlink(making);
        return FALSE;
    }
    ingot_progress_end(context->progress, NULL);
    return ingot_file_publish(-1, making, path, error);
}

/* The disk's file, which is this one unless it is a bundle; *format is found out. Free it. */
static char *find_disk(const SourceContext *context, const char *file, const char *sha256, const char **format,
                       GError **error)
{
    g_autofree char *name = g_strdup_printf("disk-%s", sha256);
    g_autofree char *path = source_cache_path(context, name, error);
    g_autofree char *lock_path = path == NULL ? NULL : g_strconcat(path, ".lock", NULL);
    g_autoptr(IngotLock) lock = lock_path == NULL ? NULL : ingot_lock_take(lock_path, TRUE, TRUE, error);
    if (lock == NULL) {
        return NULL;
    }
    *format = "qcow2";
    if (g_file_test(path, G_FILE_TEST_EXISTS)) {
        return g_steal_pointer(&path);
    }
    g_autoptr(IngotBundle) bundle = ingot_bundle_open(file, file, context->progress, error);
    if (bundle != NULL && ingot_bundle_is_disk(bundle)) {
        *format = ingot_bundle_format(bundle);
        return g_strdup(file);
    }
    return bundle != NULL && take_out(context, bundle, file, path, error) ? g_steal_pointer(&path) : NULL;
}

/* The recipe's word for the format counts; without it the content tells. */
static Source *open_image(const SourceContext *context, const char *file, const char *format, const char *sha256,
                          GError **error)
{
    g_autofree char *disk = NULL;
    if (format != NULL) {
        disk = ingot_ties_check(file, file, format, error) ? g_strdup(file) : NULL;
    } else {
        disk = find_disk(context, file, sha256, &format, error);
    }
    if (disk == NULL) {
        return NULL;
    }
    Source *made = source_new(g_steal_pointer(&disk), format);
    made->nocloud = TRUE;
    json_object_set_new(made->config, "source", json_pack("{s:s, s:s}", "kind", "image", "sha256", sha256));
    return made;
}

static Source *image_prepare(const SourceContext *context, const json_t *source, const char *key, GError **error)
{
    (void)key;
    const char *path = json_string_value(json_object_get(source, "path"));
    const char *format = json_string_value(json_object_get(source, "format"));
    const char *sha256 = json_string_value(json_object_get(source, "sha256"));
    g_autofree char *digest_text = g_strconcat("sha256:", sha256, NULL);
    IngotDigest wanted;
    if (!ingot_digest_parse(digest_text, &wanted, error)) {
        return NULL;
    }
    g_autofree char *file = path != NULL
                                ? find_file(context, path, &wanted, error)
                                : fetch(context, json_string_value(json_object_get(source, "url")), &wanted, error);
    return file == NULL ? NULL : open_image(context, file, format, sha256, error);
}

const SourceKind source_image = {"image", image_key, image_prepare};

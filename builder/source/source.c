#include "source/source.h"

#include <glib/gstdio.h>
#include <ingot/download.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>
#include <utime.h>

#include "source/kinds.h"

static const SourceKind *const kinds[] = {&source_bootstrap, &source_image, &source_from, &source_recipe};

static const SourceKind *find_kind(const json_t *source, GError **error)
{
    const char *kind = ingot_json_get_string(source, "kind", "source", error);
    for (guint i = 0; kind != NULL && i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i]->kind, kind) == 0) {
            return kinds[i];
        }
    }
    if (kind != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "source: unknown kind '%s'", kind);
    }
    return NULL;
}

void source_add_text(IngotHasher *hasher, const char *text)
{
    ingot_hasher_add(hasher, text, strlen(text) + 1);
}

Source *source_new(char *path, const char *format)
{
    Source *source = g_new0(Source, 1);
    source->path = path;
    source->format = g_strdup(format);
    source->config = json_object();
    return source;
}

void source_free(Source *source)
{
    if (source != NULL) {
        g_free(source->path);
        g_free(source->format);
        json_decref(source->config);
        json_decref(source->packages);
        g_clear_pointer(&source->use, ingot_lock_release);
        g_free(source);
    }
}

char *source_cache_path(const SourceContext *context, const char *name, GError **error)
{
    g_autofree char *cache = g_canonicalize_filename(context->cache, NULL);
    g_autofree char *folder = g_build_filename(cache, "sources", NULL);
    return ingot_file_make_folder(folder, error) ? g_build_filename(folder, name, NULL) : NULL;
}

char *source_key(const SourceContext *context, GError **error)
{
    const json_t *source = json_object_get(context->recipe->tree, "source");
    const SourceKind *kind = find_kind(source, error);
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    if (kind == NULL || !kind->key(context, source, hasher, error)) {
        return NULL;
    }
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_hasher_finish(hasher, &digest);
    ingot_digest_write_text(&digest, text);
    return g_strdup(text + strlen("sha256:"));
}

/* What lies in the cache must not be evicted while it is used. TRUE with no lock: it lies elsewhere. */
static gboolean hold(const SourceContext *context, Source *source, GError **error)
{
    g_autofree char *cache = g_canonicalize_filename(context->cache, NULL);
    g_autofree char *top = g_strconcat(cache, "/sources/", NULL);
    if (!g_str_has_prefix(source->path, top)) {
        return TRUE;
    }
    const char *name = source->path + strlen(top);
    g_autofree char *lock = g_strdup_printf("%s%.*s" INGOT_DOWNLOAD_USE, top, (int)strcspn(name, "/"), name);
    source->use = ingot_lock_take(lock, FALSE, TRUE, error);
    if (source->use == NULL) {
        return FALSE;
    }
    g_utime(lock, NULL); /* when it was used last */
    if (!g_file_test(source->path, G_FILE_TEST_EXISTS)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: was dropped from the cache just now; try again",
                    source->path);
        return FALSE;
    }
    return TRUE;
}

Source *source_prepare(const SourceContext *context, GError **error)
{
    const json_t *source = json_object_get(context->recipe->tree, "source");
    const SourceKind *kind = find_kind(source, error);
    g_autofree char *key = kind == NULL ? NULL : source_key(context, error);
    g_autoptr(Source) made = key == NULL ? NULL : kind->prepare(context, source, key, error);
    return made != NULL && hold(context, made, error) ? g_steal_pointer(&made) : NULL;
}

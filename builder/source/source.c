#include "source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include "base/file.h"
#include "bundle/download.h"
#include "source/kinds.h"

#define ENTRY(name) &source_##name,
static const SourceKind *const kinds[] = {RECIPE_SOURCES(ENTRY)};
#undef ENTRY

struct SourceIdentity {
    const SourceKind *kind;
    char *key;
    gpointer resolved; /* the kind's own */
};

GQuark source_error_quark(void)
{
    return g_quark_from_static_string("ingot-source-error");
}

static const SourceKind *source_find_kind(const json_t *source, GError **error)
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
        json_decref(source->sealed);
        json_decref(source->packages);
        g_clear_pointer(&source->use, ingot_lock_release);
        g_free(source);
    }
}

/* The folder for sources in one of the two places. Free it. */
static char *source_folder(const char *home)
{
    g_autofree char *absolute = g_canonicalize_filename(home, NULL);
    return g_build_filename(absolute, "sources", NULL);
}

/* FALSE: nothing can be made in the cache. */
static gboolean source_may_keep(const SourceContext *context, GError **why)
{
    g_autofree char *folder = source_folder(context->cache);
    return ingot_file_make_folder(folder, why) &&
           (faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) == 0 || ingot_error_set_errno(why, errno, "%s", folder));
}

const char *source_home(const SourceContext *context)
{
    g_autoptr(GError) why = NULL;
    if (context->no_cache) {
        return context->workdir;
    }
    if (source_may_keep(context, &why)) {
        return context->cache;
    }
    ingot_progress_message(context->progress,
                           "what the machine starts from is made for this build alone, and nothing that is built on it "
                           "is kept: %s",
                           why->message);
    return context->workdir;
}

char *source_kept(const SourceContext *context, const char *name)
{
    g_autofree char *folder = source_folder(context->no_cache ? context->workdir : context->cache);
    return g_build_filename(folder, name, NULL);
}

char *source_cache_path(const SourceContext *context, const char *name, GError **error)
{
    g_autofree char *path = source_kept(context, name), *folder = g_path_get_dirname(path);
    return context->look || ingot_file_make_folder(folder, error) ? g_steal_pointer(&path) : NULL;
}

char *source_place(const SourceContext *context, const char *name, GError **error)
{
    g_autofree char *folder = source_folder(source_home(context));
    return ingot_file_make_folder(folder, error) ? g_build_filename(folder, name, NULL) : NULL;
}

IngotLock *source_lock(const char *folder, GError **reads, GError **error)
{
    g_autofree char *path = g_strconcat(folder, ".lock", NULL);
    g_autoptr(GError) problem = NULL;
    IngotLock *lock = ingot_lock_take(path, TRUE, TRUE, &problem);
    if (lock == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED)) {
        lock = ingot_lock_take(path, FALSE, TRUE, NULL);
    }
    if (problem != NULL) {
        g_propagate_error(lock != NULL ? reads : error, g_steal_pointer(&problem));
    }
    return lock;
}

/* --- identity --- */

void source_identity_free(SourceIdentity *identity)
{
    if (identity != NULL) {
        if (identity->resolved != NULL) {
            identity->kind->free_resolved(identity->resolved);
        }
        g_free(identity->key);
        g_free(identity);
    }
}

const char *source_identity_key(const SourceIdentity *identity)
{
    return identity->key;
}

SourceIdentity *source_identify(const SourceContext *context, GError **error)
{
    const json_t *source = json_object_get(context->recipe->tree, "source");
    g_autoptr(SourceIdentity) identity = g_new0(SourceIdentity, 1);
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    identity->kind = source_find_kind(source, error);
    if (identity->kind == NULL) {
        return NULL;
    }
    identity->resolved = identity->kind->identify(context, source, hasher, error);
    if (identity->resolved == NULL) {
        return NULL;
    }
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_hasher_finish(hasher, &digest);
    ingot_digest_write_text(&digest, text);
    identity->key = g_strdup(text + strlen("sha256:"));
    return g_steal_pointer(&identity);
}

void source_look_clear(SourceLook *look)
{
    g_clear_pointer(&look->disk, g_free);
    g_clear_pointer(&look->due, g_free);
    g_clear_pointer(&look->fetch, g_free);
}

SourceLook source_look(const SourceContext *context, const SourceIdentity *identity)
{
    const json_t *source = json_object_get(context->recipe->tree, "source");
    return identity->kind->look(context, source, identity->resolved);
}

gboolean source_allow(const SourceContext *context, const SourceIdentity *identity, GError **error)
{
    return identity->kind->allow == NULL || identity->kind->allow(context, identity->resolved, error);
}

/* --- preparation --- */

typedef enum { HOLD_FAILED, HOLD_GONE, HOLD_TAKEN } Hold;

/* What lies in the cache must not be evicted while it is used. GONE: it was evicted between its making and this. */
static Hold source_hold(const SourceContext *context, Source *source, GError **error)
{
    g_autofree char *cache = g_canonicalize_filename(context->cache, NULL);
    g_autofree char *top = g_strconcat(cache, "/sources/", NULL);
    if (!g_str_has_prefix(source->path, top)) {
        return HOLD_TAKEN; /* it lies elsewhere */
    }
    const char *name = source->path + strlen(top);
    g_autofree char *lock = g_strdup_printf("%s%.*s" INGOT_DOWNLOAD_USE, top, (int)strcspn(name, "/"), name);
    source->use = ingot_lock_take(lock, FALSE, TRUE, error);
    if (source->use == NULL) {
        return HOLD_FAILED;
    }
    g_utime(lock, NULL); /* when it was used last */
    return g_file_test(source->path, G_FILE_TEST_EXISTS) ? HOLD_TAKEN : HOLD_GONE;
}

Source *source_prepare(const SourceContext *context, const SourceIdentity *identity, GError **error)
{
    const json_t *source = json_object_get(context->recipe->tree, "source");
    for (guint attempt = 0; attempt < SOURCE_ATTEMPTS; attempt++) {
        g_autoptr(Source) made = identity->kind->prepare(context, source, identity->resolved, error);
        Hold hold = made == NULL ? HOLD_FAILED : source_hold(context, made, error);
        if (hold == HOLD_FAILED) {
            return NULL;
        }
        if (hold == HOLD_TAKEN) {
            return g_steal_pointer(&made);
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE,
                "the source was evicted from the cache %d times before it could be used: the cache's limit "
                "(INGOT_CACHE_SIZE) is too small for it",
                SOURCE_ATTEMPTS);
    return NULL;
}

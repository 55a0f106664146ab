/* Sources: what the machine starts from, as a disk file that nobody writes to. */
#pragma once

#include <ingot/file.h>
#include <ingot/progress.h>
#include <ingot/store.h>

#include "recipe/recipe.h"

typedef struct {
    char *path;         /* absolute; stays where it is, never written to */
    char *format;       /* "raw", "qcow2", … */
    gboolean temporary; /* lies in the work folder */
    gboolean sealed;    /* nothing machine-specific is in it: may become an image without a seal if no step ran */
    gboolean nocloud;   /* a cloud image: the user and key come by a NoCloud seed */
    json_t *config;     /* keys for the image's config that the source knows ("os", "firmware", "base":
                           {"reference","digest"}) */
    IngotLock *use;     /* on what the cache has of it: it stays as long as the source is used; or NULL */
    json_t *packages;   /* sealed only: [{"name","version","architecture"}], else NULL */
} Source;
void source_free(Source *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Source, source_free)

typedef struct {
    const Recipe *recipe;
    IngotStore *store;
    const char *cache;   /* folder; sources keep downloads and bootstrapped disks there */
    const char *workdir; /* this build's */
    gboolean no_cache;   /* make anew */
    const char *parent;  /* of a source that is another recipe: NAME:VERSION@DIGEST of what that has given */
    IngotProgress *progress;
} SourceContext;

/* The identity of the source without making it, for keys: SHA-256 over what it is made from (packages, suite, mirror's
 * sources, sha256, the digest that a reference stands for). Free it. */
char *source_key(const SourceContext *context, GError **error);
Source *source_prepare(const SourceContext *context, GError **error);

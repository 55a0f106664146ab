/* Sources: what the machine starts from, as a disk file that nobody writes to.
 *
 * A source is resolved once per build: source_identify asks whatever has to be asked (a registry for a tag's digest,
 * apt for its sources, a mirror for its state) and its answer gives the plan's key. source_prepare then makes exactly
 * that disk, whatever a tag or a mirror says by then; where it no longer can, it says SOURCE_ERROR_CHANGED and the
 * build starts over. */
#pragma once

#include <ingot/progress.h>
#include <ingot/store.h>

#include "base/file.h"
#include "recipe/recipe.h"

#define SOURCE_ATTEMPTS 3 /* how often a build starts over at most */
#define SOURCE_ERROR (source_error_quark())
GQuark source_error_quark(void);
typedef enum {
    SOURCE_ERROR_CHANGED, /* the identity no longer holds: identify it again and make a new plan */
} SourceError;

typedef struct {
    char *path;       /* absolute; stays where it is, never written to */
    char *format;     /* "raw", "qcow2", … */
    json_t *sealed;   /* words of seal.keep: what its seal has left in it; NULL: it was never sealed, so that anything
                         of one machine may be in it */
    json_t *config;   /* keys for the image's config that the source knows ("os", "firmware", "base":
                         {"reference","digest"}); no credentials are in it */
    IngotLock *use;   /* on what the cache has of it: it stays as long as the source is used; or NULL */
    json_t *packages; /* [{"name","version","architecture"}]; NULL: not known */
} Source;
void source_free(Source *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Source, source_free)

typedef struct {
    const Recipe *recipe;
    IngotStore *store;
    const char *cache;   /* folder; sources keep downloads and bootstrapped disks there */
    const char *workdir; /* this build's; NULL where only a plan is wanted */
    const char *parent;  /* of a source that is another recipe: NAME:VERSION@DIGEST of what that has given */
    gboolean look;       /* only a plan is wanted: no mirror is asked, and what is kept counts as current */
    gboolean refresh;    /* make it again, whatever the cache keeps */
    gboolean no_cache;   /* make it in the work folder and keep nothing; implies refresh */
    gboolean (*needed)(const char *cache,
                       const char *disk); /* whether a node stands on the disk; NULL: as if all did */
    IngotProgress *progress;
} SourceContext;

typedef struct SourceIdentity SourceIdentity;
SourceIdentity *source_identify(const SourceContext *context, GError **error);
/* SHA-256 over what it is made from, as hex: packages, apt's sources, the mirror's state, the digest that a reference
 * stands for. */
const char *source_identity_key(const SourceIdentity *identity);
void source_identity_free(SourceIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SourceIdentity, source_identity_free)

/* What a plan can say of a source that is not made: nothing is asked or fetched for it. */
typedef struct {
    char *disk;  /* path of the disk that a build of that key stands on; NULL: not known before it is made */
    char *due;   /* what a build does first to have it, in words; NULL: nothing that may change the plan */
    char *fetch; /* what a build downloads first, and from where, in words; NULL: nothing */
} SourceLook;
SourceLook source_look(const SourceContext *context, const SourceIdentity *identity);
void source_look_clear(SourceLook *look);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(SourceLook, source_look_clear)

/* Whether an image that was built of the source before may stand for a new build: what source_prepare asks of policies
 * and revocations, without making anything. REFUSED: it may not. */
gboolean source_allow(const SourceContext *context, const SourceIdentity *identity, GError **error);

Source *source_prepare(const SourceContext *context, const SourceIdentity *identity, GError **error);

/* The images that a command's words stand for: one each, all versions of a name, and of a tag that names images of
 * several architectures or providers (a registry's OCI index, or rows of a store) each of them. */
#pragma once

#include <ingot/options.h>
#include <ingot/progress.h>
#include <ingot/store.h>

typedef struct {
    gboolean all; /* the words are names, of which all versions are meant */
    gboolean ask; /* registries are asked what tags name */
    const char *const *texts;
    const IngotRemoteOptions *remote; /* where it asks for one architecture, that image alone is meant */
    IngotProgress *progress;          /* of warnings; may be NULL */
    GError **left;                    /* the first that was left out (wanted_leaves_out); free it */
} WantedOptions;

/* Of all versions those that can't be had are left out: what is withheld or refused by the policy, what is no image of
 * Ingot's or of a newer one's, what has gone meanwhile, and what is not for the architecture that is asked for. TRUE:
 * the problem is such a one; it is warned of and taken. Where single images are meant, nothing is left out. */
gboolean wanted_leaves_out(const WantedOptions *options, GError **problem);

/* One of them. */
typedef struct {
    IngotReference *reference;
    gboolean is_entry; /* one of several that the tag names; the digest is its own */
} Wanted;

/* GPtrArray of Wanted, in the order of the words, versions from the lowest. */
GPtrArray *wanted_find(IngotStore *store, const WantedOptions *options, GError **error);

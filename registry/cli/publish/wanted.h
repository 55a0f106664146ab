/* The images that a command's words stand for: one each, all versions of a name, and of a registry's tag that names
 * images of several architectures or providers (an OCI index) each of them. */
#pragma once

#include <ingot/options.h>
#include <ingot/store.h>

typedef struct {
    gboolean all; /* the words are names, of which all versions are meant */
    gboolean ask; /* registries are asked what tags name */
    const char *const *texts;
    const IngotRemoteOptions *remote; /* where it asks for one architecture, that image alone is meant */
} WantedOptions;

/* One of them. */
typedef struct {
    IngotReference *reference;
    gboolean is_entry; /* of the index that the tag names; the digest is its own */
} Wanted;

/* GPtrArray of Wanted, in the order of the words, versions from the lowest. */
GPtrArray *wanted_find(IngotStore *store, const WantedOptions *options, GError **error);

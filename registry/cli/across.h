/* A promotion between two registries: the image goes from one to the other by way of the store, as a pull and a push
 * send it (what the store or the registry has already does not cross the network), with all that is attached to it,
 * byte for byte; then the other registry's gates are asked. Where the copy is not whole, nothing is promoted. */
#pragma once

#include "cli/common.h"

typedef struct {
    const char *reason; /* NULL: none */
    gboolean dry_run, force;
} AcrossOptions;

/* from: a tag or digest of one registry; where: HOST/NAME of the other. */
gboolean across_promote(const IngotReference *from, const char *where, const char *channel,
                        const AcrossOptions *options, GError **error);

/* One reference may name images of several platforms: an OCI image index, or docker's list of manifests. */
#pragma once

#include <glib.h>
#include <ingot/digest.h>
#include <ingot/options.h>
#include <ingot/progress.h>
#include <jansson.h>

typedef enum {
    PLATFORM_SINGLE, /* it is no index: a manifest, or what its reader will refuse */
    PLATFORM_CHOSEN,
    PLATFORM_NONE, /* none of it is for this platform, or what should be an index is none: an error says so */
} PlatformResult;

/* The image for linux and an architecture (image/architecture.h) in an index: a disk of Ingot's goes before other
 * things, and one of which no platform is told is taken where it is the only one. The error (NOT_FOUND) says what there
 * is. what: the reference, for errors. */
PlatformResult platform_choose(const void *data, gsize size, const char *architecture, const char *what,
                               IngotDigest *chosen, GError **error);

/* Whether an image is for the architecture that the options ask for, by its config; else NOT_FOUND, and INVALID where
 * that is none that is known. Where they ask for none (or are NULL), any is. */
gboolean platform_check(const json_t *config, const IngotRemoteOptions *options, const char *what, GError **error);
/* Warns where none is asked for, and the store's image of a registry is for another one than this machine's: of an
 * index another may have been pulled. */
void platform_tell(const json_t *config, const IngotRemoteOptions *options, const char *what, IngotProgress *progress);

/* Moving a tag among manifests that the repository has: no byte of an image is copied, and of two who expect the same
 * of a tag only one moves it. The tag, and what it names, count as pushed from then on, wherever they came from. A tag
 * that names it already stays; that is a move all the same. Thread safe. */
#pragma once

#include "server/pipeline/pipeline.h"
#include "server/storage/storage.h"

typedef struct {
    const char *name, *tag;
    const IngotDigest *to;       /* a manifest of the repository */
    const IngotDigest *expected; /* what the tag must name before; NULL: it must not be there */
    const Pipeline *pipeline;    /* by which a promotion was found to be right; NULL: it is none */
    const StorageActor *actor;
} StorageMoving;

/* EXISTS: the tag names something else by now, the name has another pipeline, or it is no promotion and a pipeline
 * guards the tag. NOT_FOUND: the repository has no such
 * manifest, or, as a cache that was asked for the manifest alone, not all that it needs, the manifests within it too.
 * LIMIT: it needs more than 65536 blobs and manifests, or its manifests are more than 64 MiB together. */
gboolean storage_move_tag(Storage *storage, const StorageMoving *moving, GError **error);

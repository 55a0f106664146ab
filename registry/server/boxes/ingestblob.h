/* Blobs that the server makes itself, stored as one that is pushed: by frames, so that only those come that are not
 * here. */
#pragma once

#include <ingot/packer.h>

#include "server/storage/storage.h"

typedef struct {
    Storage *storage;
    const StorageActor *actor;
    const char *name; /* the repository */
} IngestTarget;

/* A packed disk whose blob is fd's file, from its start. */
gboolean ingest_disk(const IngestTarget *target, int fd, const IngotPacked *packed, GError **error);
/* A small blob. */
gboolean ingest_bytes(const IngestTarget *target, const void *data, gsize size, IngotDigest *digest, GError **error);

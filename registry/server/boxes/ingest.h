/* Taking a box in: a Vagrant box's file becomes an image of a repository, without a tag.
 *
 * Each of its disks is packed, and only what no image here has is stored. Equal files make equal images, whenever and
 * from wherever they come. What the box's file holds is a stranger's: bundle.h says how it is read. What is unpacked
 * lies in the storage's own folder, and goes again. One box is taken in at a time. Runs qemu-nbd. */
#pragma once

#include <ingot/manifest.h>
#include <ingot/progress.h>

#include "server/storage/storage.h"

/* What is said of a box elsewhere. */
typedef struct {
    const char *version;
    const char *provider; /* "libvirt": a box for another one is INVALID */
    const char
        *architecture; /* as Vagrant calls it, and counts before what the box says; NULL or "unknown": not said */
    const StorageActor *actor;
    IngotProgress *progress; /* may be NULL */
} IngestFacts;

/* Whether images can be boxes for that provider; FALSE and INVALID: which ones it may be. */
gboolean ingest_knows_provider(const char *provider, GError **error);

/* path: the box's file. *manifest receives the image's; errors name "NAME VERSION, the box for PROVIDER".
 * INTERRUPTED: the program is told to end, whatever else has failed by that. */
gboolean ingest_box(Storage *storage, const char *name, const char *path, const IngestFacts *facts,
                    IngotDescriptor *manifest, GError **error);

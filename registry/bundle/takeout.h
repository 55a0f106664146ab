/* The disks of a parcel as files that can be opened: each where it lies if it can be read there, else taken out into a
 * work folder. All of them, and all digests, come by one pass through the parcel. */
#pragma once

#include "base/file.h"
#include "base/unchanged.h"
#include "bundle/find.h"

typedef struct {
    char *name;         /* "web.ova: web.vmdk", for messages */
    IngotPart part;     /* whose path is the disk's own */
    const char *format; /* as ingot_blocks_probe calls it */
    const char *bus;    /* or NULL */
    gboolean own;       /* it lies in the work folder, where nobody else changes it */
} BundleDisk;

void bundle_disk_clear(gpointer disk); /* for g_array_set_clear_func */

typedef struct {
    const Parcel *parcel;
    const Found *found;
    IngotWorkdir **workdir; /* made where it is needed */
    Unchanged *files;       /* receives those that are read where they lie */
    GArray *disks;          /* of BundleDisk; receives them */
    IngotProgress *progress;
} TakeOut;

gboolean takeout_disks(const TakeOut *out, GError **error);

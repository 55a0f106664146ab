/* Which member of a parcel is the machine's one disk: by what describes it there. Nothing described, more than one
 * disk, or one that Ingot cannot take is INVALID, and named; else `member` is set. */
#pragma once

#include "bundle/parcel.h"

typedef struct {
    const ParcelMember *member;
    const char *format; /* as ingot_blocks_probe calls it, where it is told; else NULL */
    guint64 capacity;   /* bytes; 0: not told */
    gboolean uefi;
} FoundDisk;

/* An OVA, or the *.ovf in a box. */
gboolean find_in_ovf(const Parcel *parcel, const ParcelMember *descriptor, FoundDisk *found, GError **error);
/* A Vagrant box, by its metadata.json. */
gboolean find_in_box(const Parcel *parcel, const ParcelMember *metadata, FoundDisk *found, GError **error);

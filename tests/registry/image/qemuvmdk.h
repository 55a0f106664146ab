/* How QEMU reads the extents of a VMDK's descriptor, written down a second time: it scans from the beginning of each
 * line, goes on over the ends of lines, and leaves out what it does not know. */
#pragma once

#include <stdio.h>
#include <string.h>

#include "image/vmdktext.h"

typedef struct {
    char access[11], type[11], name[512];
    long long sectors, offset;
    int found;
} QemuExtent;

/* Whether it opens one there. *error: it gives the disk up. */
static inline gboolean qemu_vmdk_opens(const char *at, QemuExtent *extent, gboolean *error)
{
    *extent = (QemuExtent){.offset = -1};
    extent->found = sscanf(at, "%10s %lld %10s \"%511[^\n\r\"]\" %lld", extent->access, &extent->sectors, extent->type,
                           extent->name, &extent->offset);
    if (extent->found < 4 || strcmp(extent->access, "RW") != 0) {
        return FALSE;
    }
    gboolean flat = strcmp(extent->type, "FLAT") == 0;
    *error = *error || (flat ? extent->found != 5 || extent->offset < 0 : extent->found != 4);
    return extent->sectors > 0 && (flat || strcmp(extent->type, "SPARSE") == 0 || strcmp(extent->type, "VMFS") == 0 ||
                                   strcmp(extent->type, "VMFSSPARSE") == 0 || strcmp(extent->type, "SESPARSE") == 0);
}

/* Whether it opens these extents, in this order, and no other. */
static inline gboolean qemu_vmdk_agrees(const char *text, const GArray *extents)
{
    guint count = 0;
    gboolean error = FALSE;
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n' ? 1 : 0) {
        QemuExtent extent;
        if (!qemu_vmdk_opens(at, &extent, &error)) {
            continue;
        }
        const VmdkExtent *ours = count < extents->len ? &g_array_index(extents, VmdkExtent, count) : NULL;
        if (ours == NULL || strcmp(ours->name, extent.name) != 0 || ours->sectors != (guint64)extent.sectors ||
            (extent.found == 5 && ours->offset != (guint64)extent.offset)) {
            return FALSE;
        }
        count++;
    }
    return count == extents->len && !error;
}

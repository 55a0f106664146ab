/* A file system made from a tar archive, without mounting, unpacking or root.
 *
 * libext2fs writes each entry with the owner, mode, attributes and (clamped) times that the archive has. Nothing else
 * goes in: the same archive, settings and parameters give the same bytes. */
#pragma once

#include <glib.h>

typedef struct {
    const char *disk; /* the disk's file; the partition's range reads as zeros */
    guint64 offset;   /* of the partition, bytes */
    guint64 size;     /* bytes */
    const char *uuid; /* of the file system */
    const char *hash; /* UUID that seeds the directories' hashes */
    gint64 time;      /* seconds since 1970: nothing in it is younger */
} Ext4Options;

/* files: of TreeFile (tree.h); they stand in for the archive's entries of the same name. */
gboolean ext4_make(const Ext4Options *options, const char *tar, const GPtrArray *files, GError **error);

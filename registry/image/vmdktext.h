/* The descriptor of a VMDK: a text that says how the disk is made up of extents, each a file or a part of one.
 *
 * QEMU reads it by sscanf from the beginning of each line, and leaves out what it does not know: an extent of another
 * type or access, so that the disk becomes shorter. It may also read one extent twice, or take the next line for the
 * end of this one. So each line is read here as QEMU reads it and as it is meant, and a text for which the two differ
 * is refused: one that is taken means the same disk to QEMU, with the same files. */
#pragma once

#include <glib.h>

#define VMDK_EXTENTS_MAX 4096u /* 8 TiB in extents of 2 GiB */

typedef enum {
    VMDK_FLAT,   /* its bytes lie in the file, from `offset` on */
    VMDK_SPARSE, /* the file has a head of its own: KDMV or COWD */
    VMDK_SESPARSE
} VmdkKind;

typedef struct {
    VmdkKind kind;
    guint64 sectors, offset; /* both in sectors of 512 bytes */
    char *name;
} VmdkExtent;

/* GArray of VmdkExtent, at least one, together below 2^63 bytes; free it. What is not taken is INVALID, and named with
 * its line; `name` names the disk in errors. Names are as they stand there. */
GArray *vmdk_text_extents(const char *text, const char *name, GError **error);

/* How many extents a text names, of whatever type and access. */
guint vmdk_text_count(const char *text);

/* What the disk stands on: a new string; NULL: nothing. *there: whether the text says so at all, where QEMU looks. */
char *vmdk_text_parent(const char *text, gboolean *there);

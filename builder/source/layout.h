/* The layout of a bootstrapped disk: GPT with a BIOS boot partition, an EFI system partition and, last so that it can
 * grow, the root file system. Every identifier in it follows from a key. */
#pragma once

#include <glib.h>

typedef struct {
    const char *path;     /* of the disk to make; must not exist */
    guint64 size;         /* bytes; a multiple of 1 MiB */
    const char *key;      /* what the identifiers follow from */
    gint64 time;          /* seconds since 1970: nothing in it is younger */
    const char *tree;     /* the tree's tar archive */
    const char *apt;      /* the guest's sources.list */
    const char *apt_conf; /* and its apt.conf */
    const char *workdir;  /* for what is made on the way */
} LayoutOptions;

gboolean layout_make(const LayoutOptions *options, GError **error);

/* What an OVF descriptor (DMTF DSP0243) says of its files and disks. No entity but XML's own five is known, and nothing
 * is fetched. */
#pragma once

#include <glib.h>

typedef struct {
    char *id, *href;
    char *compression; /* "gzip"; NULL: none */
    gboolean chunked;
} OvfFile;

typedef struct {
    char *id;
    char *file_id;    /* NULL: it is empty */
    char *parent;     /* the disk it stands on; NULL: none */
    guint64 capacity; /* bytes; 0: not told */
} OvfDisk;

typedef struct {
    GPtrArray *files; /* of OvfFile */
    GPtrArray *disks; /* of OvfDisk */
    guint machines;
    gboolean uefi;
} Ovf;

/* `name` names the text in errors (INVALID). */
Ovf *ovf_parse(const char *text, gsize size, const char *name, GError **error);
void ovf_free(Ovf *ovf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ovf, ovf_free)

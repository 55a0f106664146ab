/* What an OVF descriptor (DMTF DSP0243, versions 1 and 2) says of its files, its disks and the machine that has them.
 * No entity but XML's own five is known, and nothing is fetched. */
#pragma once

#include <glib.h>

typedef struct {
    char *id, *href;
    char *compression; /* "gzip"; NULL: none */
    guint64 chunk;     /* bytes of each piece but the last that it is cut into; 0: it is whole */
    guint64 size;      /* bytes of all its pieces; 0: it is whole, or it is not told */
} OvfFile;

typedef struct {
    char *id;
    char *file_id;      /* NULL: it is empty */
    char *parent;       /* the disk it stands on; NULL: none */
    const char *format; /* "raw", "qcow2", where it is told beyond doubt; else NULL */
    guint64 capacity;   /* bytes; 0: not told */
} OvfDisk;

/* A disk as the machine has it. */
typedef struct {
    const OvfDisk *disk;
    const char *bus; /* "ide", "scsi", "sata", "nvme", "virtio"; NULL: not told */
} OvfDrive;

typedef struct {
    GPtrArray *files;         /* of OvfFile */
    GPtrArray *disks;         /* of OvfDisk, in the descriptor's order */
    GArray *drives;           /* of OvfDrive, in the machine's order: all disks where it does not say which it has */
    GPtrArray *unused;        /* of OvfDisk, not owning: those that the machine does not have */
    GPtrArray *machines;      /* of char *: their names, "" where one has none */
    gboolean uefi, bios;      /* what it says that the machine boots by; neither: it says nothing */
    const char *architecture; /* as architecture_word calls it; NULL: not told */
} Ovf;

/* `name` names the text in errors (INVALID). */
Ovf *ovf_parse(const char *text, gsize size, const char *name, GError **error);
void ovf_free(Ovf *ovf);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ovf, ovf_free)

const OvfFile *ovf_file(const Ovf *ovf, const char *id); /* NULL: there is none */

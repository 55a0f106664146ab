/* The footer of a VHD: which kind it is, and how large its disk is.
 *
 * A VHD tells its size twice: as bytes, and as a geometry of cylinders, heads and sectors that often rounds it down.
 * QEMU goes by the program that made the file, and before 10.0 takes the geometry of all but a few, so that the end of
 * a disk from Azure or VirtualBox is cut off. Here the bytes count. Only a disk of Virtual PC or of an old QEMU, whose
 * guests saw the geometry, is as large as that where it is the larger one. */
#pragma once

#include "image/reader.h"

typedef struct {
    guint64 size;         /* bytes of the disk */
    gboolean by_geometry; /* the geometry's */
    gboolean undisputed;  /* any QEMU shows that many, whatever it goes by */
    gboolean differencing;
    guint64 header; /* where the second header lies: dynamic, differencing */
} VhdFooter;

/* A footer that is damaged, of a kind that there is not, or larger than its file, is INVALID. A differencing disk is
 * not: who calls refuses it, and can name its parent. */
gboolean vhd_footer_read(const Reader *reader, VhdFooter *footer, GError **error);

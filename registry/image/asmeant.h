/* How QEMU has to open a disk file for it to show the disk that the file means.
 *
 * For most files the format is enough. Of a VHD QEMU may take another size than it has (vhdfooter.h), so it is told
 * which one counts; a VHDX whose log is not empty is not opened for reading at all, so the log is replayed on a copy.
 * Files from elsewhere are never written to. */
#pragma once

#include <ingot/blocks.h>

G_BEGIN_DECLS

/* Bytes that QEMU may allocate for a file from elsewhere, which stands on no other: the largest tables of a disk that
 * an image can have take some 160 MB. */
#define AS_MEANT_MEMORY (256u << 20)

typedef struct {
    IngotPart part;
    char *options;  /* to follow the driver's name, each after a comma; or "" */
    char *copy;     /* whose path the part then has; or NULL */
    guint64 size;   /* bytes that the disk has; 0: QEMU knows */
    guint64 memory; /* AS_MEANT_MEMORY; 0 for layers of our own, which are bounded by nothing */
} AsMeant;

/* folder: of the copy, if there is one; it stays the caller's to remove. */
gboolean as_meant_prepare(const IngotPart *part, const char *name, const char *format, const char *folder,
                          AsMeant *meant, GError **error);
void as_meant_clear(AsMeant *meant);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AsMeant, as_meant_clear)

/* Whether any QEMU shows that disk by the format alone, as the base of an overlay, say. */
gboolean as_meant_is_plain(const char *path, const char *format, gboolean *plain, GError **error);

G_END_DECLS

/* What other files a disk file names: a backing file, a file of its data, the extents of a VMDK.
 *
 * Whoever opens the disk opens those too, so a disk from elsewhere could make any file of this host part of an image.
 * Here they are found in the disk's own bytes, without opening any: nothing may be named but extents of plain names,
 * which lie beside the disk. */
#pragma once

#include <ingot/blocks.h>

G_BEGIN_DECLS

/* The names of the extents (GStrv, none twice, without the disk itself; free it): empty for a disk that stands alone.
 * One that stands on another file, keeps its data in one, or has an extent elsewhere is INVALID; `name` names it in
 * errors. */
char **ingot_ties_extents(const IngotPart *part, const char *name, const char *format, GError **error);

/* The same for a disk where it lies: every extent must be there, as a regular file, and no file may be cut short. */
gboolean ingot_ties_check(const IngotPart *part, const char *name, const char *format, GError **error);
/* The same, and that it has no extents either: only then one digest tells of all of it. */
gboolean ingot_ties_check_alone(const char *path, const char *name, const char *format, GError **error);

G_END_DECLS

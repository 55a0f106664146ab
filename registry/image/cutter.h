/* From blocks to pieces: reads a disk once, in order, and cuts it into chunks and holes.
 *
 * Where a cut falls depends on the disk's bytes alone: zeros that are stored and holes of the file give the same
 * pieces, so two files of equal content give equal images. Holes are cut at multiples of INGOT_HOLE_MAX of the disk. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/progress.h>

/* One piece: length bytes of data, valid during the call, or a hole (data is NULL). FALSE with an error stops. */
typedef gboolean (*CutterFunc)(gpointer user, const guint8 *data, gsize length, GError **error);

gboolean cutter_run(IngotBlocks *blocks, guint32 average, IngotProgress *progress, CutterFunc piece, gpointer user,
                    GError **error);

/* From blocks to pieces: reads a disk once, in order, and cuts it into chunks and holes.
 *
 * Where a cut falls depends on the disk's bytes alone: zeros that are stored and holes of the file give the same
 * pieces, so two files of equal content give equal images. Holes are cut at multiples of INGOT_HOLE_MAX of the disk. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/progress.h>

/* Bytes as they were read, shared by the pieces that were cut of them: they stay while anybody holds a reference. */
typedef struct {
    guint8 *data;
} CutterBlock;
void cutter_block_unref(CutterBlock *block);

/* One piece: length bytes of data within the block, or a hole (data and block are NULL). FALSE with an error stops.
 * Pieces of one block come one after the other. A reference is taken with g_atomic_rc_box_acquire. */
typedef gboolean (*CutterFunc)(gpointer user, CutterBlock *block, const guint8 *data, gsize length, GError **error);

gboolean cutter_run(IngotBlocks *blocks, guint32 average, IngotProgress *progress, CutterFunc piece, gpointer user,
                    GError **error);

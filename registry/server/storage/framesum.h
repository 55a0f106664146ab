/* A frame sum: the bytes of frames in their order, wherever they stand, added to the sum of the blob that they make.
 *
 * It is what an offer's end waits for, so it does no more than that: places are looked up many at once, neighbours are
 * read together, and no frame is compared with its own digest. What is much is looked up and read by another thread
 * while the sum is worked out, a little ahead of it. The sum of the whole proves them all where it is the one that was
 * asked for; where it is not, whoever asked has to look at each (proof.h). */
#pragma once

#include "server/storage/inside.h"
#include "server/storage/midsum.h"

typedef struct {
    IngotDigest digest;
    guint32 length;
    gboolean comes; /* it stands at `at` of the upload's file; else in a pack */
    guint64 at;
} SummedFrame;

/* fd, path: the upload's file; fd may be -1 where no frame stands in it. FALSE: some frame is not where the catalogue
 * has it, or damaged as far as it knows, or its pack is lost; what was added to the sum is then unknown. */
gboolean framesum_add(Storage *storage, int fd, const char *path, const SummedFrame *frames, guint count, Midsum *sum);
/* What that thread does: of Storage.frame_readers, which has as many threads as sums are worked out at once. */
void framesum_read(gpointer reading, gpointer user);

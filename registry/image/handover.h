/* Handover: batches of a disk's bytes, which several threads make and one thread at a time hands on. A thread that
 * brings a batch while another one hands on leaves it there and goes on with an empty batch. So nobody waits for the
 * taker: a file system lets one thread at a time write to a file, and keeps the others spinning.
 *
 * Invariant: a batch that was left has a thread that will hand it on. */
#pragma once

#include <ingot/disk.h>

typedef struct {
    guint64 offset; /* of the data on the disk */
    gsize size;     /* bytes of data */
    guint8 *data;
} Batch;

typedef struct Handover Handover;

/* take NULL: nobody gets them. There are at most so many batches at a time, which must be more than the threads. */
Handover *handover_new(IngotDiskTake take, gpointer user, guint batches, gsize batch_size);
void handover_free(Handover *handover); /* and all batches */

/* One with size 0, which is the handover's; waits while all are in use. */
Batch *handover_empty(Handover *handover);
/* The batch is the caller's no longer. FALSE: the taker gave an error, of this batch or of one that another thread had
 * left; it gets no further ones. */
gboolean handover_bring(Handover *handover, Batch *batch, GError **error);

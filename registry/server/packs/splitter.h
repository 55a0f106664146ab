/* Where a blob is taken apart into pieces, found while it streams in.
 *
 * A blob of zstd frames (RFC 8878; skippable frames too) is cut after each frame, so that equal frames of different
 * blobs are equal pieces; but never before PIECE_LEAST bytes, so that a piece costs less than it holds. Anything else,
 * and a frame that is longer, is cut after every PIECE_MAX bytes. Nothing is kept of
 * the bytes. What only begins like zstd is cut as "anything else" from where it stops being so. */
#pragma once

#include <glib.h>

#define PIECE_MAX (1u << 20) /* bytes */
#define PIECE_LEAST 4096u    /* bytes, but for the last piece of a blob and the frames of an offer */

typedef struct {
    gboolean plain;    /* no zstd frames (any more) */
    int state;         /* which header is being read */
    guint8 header[16]; /* what has come of it */
    guint have, wanted;
    guint64 skip; /* bytes until the next header */
    gboolean last, checksum;
    guint32 length; /* of the running piece so far */
} Splitter;

void splitter_begin(Splitter *splitter);
/* How many of the bytes belong to the running piece (all, or up to its end): *ends tells whether it ends there. */
gsize splitter_take(Splitter *splitter, const guint8 *data, gsize size, gboolean *ends);

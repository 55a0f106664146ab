/* A disk's file that is compressed by itself, as an OVF descriptor says of it. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/progress.h>

/* The word for what the descriptor says ("gzip", "bzip2"), or NULL: not known. */
const char *inflate_kind(const char *said);
/* How many bytes it may unpack to: all of them, and those that are no holes. */
typedef struct {
    guint64 size, written;
} InflateBounds;
/* Of a disk of so many compressed bytes, whose file may have `most`, by what tells of it; 0: nothing tells. That is a
 * stranger's word: it explains holes, but not that a small file unpacks to many bytes, nor to zeros that keep a core
 * for hours (bzip2 has 1 GiB of them in 785 bytes). */
InflateBounds inflate_bounds(guint64 packed, guint64 most);

/* Writes what the part gives when it is unpacked to fd, with holes where it is zeros. What is
 * damaged, not compressed so, or beyond those bounds is INVALID; `name` names it. */
gboolean inflate_part(const IngotPart *part, const char *kind, int fd, InflateBounds most, const char *name,
                      IngotProgress *progress, GError **error);

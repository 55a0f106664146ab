/* Blocks that are in the file before it is laid out.
 *
 * A format that compresses knows how large a block is once it has compressed it, and only then where the file's parts
 * are. Whoever writes the file does not compress each block twice for that: while they are measured, they are written
 * to where they will be if the file begins as its format expects. Then it is laid out as ever, and what are no blocks
 * are written around them.
 *
 * Invariant: the file is the layout's, byte for byte. Where the expectation was wrong, the blocks count for nothing,
 * and the file is written as any layout is. */
#pragma once

#include <ingot/format.h>

typedef struct IngotFormatEarly Early;

/* For the file that is open as fd and empty; name: of it, in errors. */
Early *early_new(int fd, const char *name);
void early_free(Early *early);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Early, early_free)

/* --- for formats and for the measure; early may be NULL where it says so --- */

/* A layout of about the size that the disk will have in the file; unref it. */
IngotLayout *early_guess(const IngotFormatInput *input);
/* The disk's layout will stand where that guess has this one. */
void early_expect(Early *early, const IngotLayout *guess, const IngotLayout *disk);
/* Bytes at a place in the disk's layout. */
gboolean early_write(const Early *early, guint64 place, const void *bytes, gsize size, GError **error);
/* The block of the disk at offset is there, written or about to be: called in the disk's order. */
void early_add(Early *early, guint64 offset, guint64 place, guint32 size);

/* --- for layouts --- */

/* A part of the block of the disk at offset. *found FALSE: it is not there (or early is NULL), or has another size. */
gboolean early_read(const Early *early, guint64 offset, guint32 size, guint64 within, void *buffer, gsize count,
                    gboolean *found, GError **error);
/* Whether each coded block of the layout is in the file at its place, and nothing else of the disk is in the layout. */
gboolean early_fits(const Early *early, const IngotLayout *layout);

/* A segment: what one upload added to a pack. Packs are made of nothing else, and tell all by themselves.
 *
 * Layout (integers little-endian): a head of 64 bytes ("INGOTSEG", u32 version 1, u32 zero, u64 length of the data, u64
 * length of the table, 32 bytes SHA-256 of the table), the data (the new pieces' bytes, one after another: a blob that
 * shares nothing is one run of the file), the table: the blob's digest, u64 its length, u32 number of pieces, and for
 * each piece its digest and u32 length, whose top bit tells that its bytes are new, in this segment's data. A blob of
 * digest zero is none: such a table lists pieces alone. The head is written last; a segment without one is no segment.
 */
#pragma once

#include <ingot/digest.h>

#include "server/packs/packs.h"

#define SEGMENT_HEAD 64 /* bytes */
#define SEGMENT_MAGIC "INGOTSEG"

typedef struct {
    IngotDigest digest;
    guint32 length; /* bytes, at most PIECE_MAX */
    gboolean fresh; /* its bytes are in this segment */
} Piece;

typedef struct {
    IngotDigest blob; /* all zero: none */
    guint64 size;     /* of the blob, bytes */
    GArray *pieces;   /* of Piece, in the blob's order */
} Table;

Table *table_new(void);
Table *table_sized(guint pieces); /* with room for so many */
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)
void table_add(Table *table, const IngotDigest *digest, guint32 length, gboolean fresh);
static inline const Piece *table_piece(const Table *table, guint i)
{
    return &g_array_index(table->pieces, Piece, i);
}
gboolean table_has_blob(const Table *table);

/* Of a file that is to become a pack: writes the table behind the data that stands at `at` + SEGMENT_HEAD already, then
 * the head; *end is where the segment ends. Nothing is flushed. */
gboolean segment_finish(int fd, guint64 at, guint64 data, const Table *table, guint64 *end, const char *name,
                        GError **error);
/* Reads the segment at `at` of a pack whose first `size` bytes count: its table (free it), the length of its data,
 * where it ends. CORRUPT where there is none; *end is then where it would end, or `at` where its head does not tell. */
Table *segment_read(const Pack *pack, guint64 at, guint64 size, guint64 *data, guint64 *end, GError **error);

/* A window: the places of up to BLOBMAP_WINDOW pieces of a blob that follow each other, and the packs that hold them.
 *
 * Invariants: nothing of a window changes once it is loaded, but what is known to be whole. A piece's bytes are checked
 * against its digest before the first of them is given out, and again when somebody has written to its pack since; in
 * between they go from the file to the client as they are. A window that is held can be read, whatever becomes of its
 * packs' names. Counted by references; thread safe. */
#pragma once

#include "server/catalogue/blobmap.h"
#include "server/packs/packs.h"

typedef struct Window Window;

/* may_be_gone: as for blobmap_places. A pack that is not there is CORRUPT, and *lost its number, else 0. */
Window *window_load(Packs *packs, Connection *reader, const BlobMap *map, guint number, gboolean may_be_gone,
                    gint64 *lost, GError **error);
Window *window_ref(Window *window);
void window_unref(Window *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Window, window_unref)

gsize window_cost(const Window *window); /* bytes of memory */
/* Notes that it is in use / whether it was since this was asked for last. */
void window_touch(Window *window);
gboolean window_was_used(Window *window);

typedef struct {
    IngotDigest digest;
    gint64 pack;
    guint64 offset;
} Damage;
/* Up to size bytes (at least one) from an offset of the blob that lies in the window; -1: an error, with
 * damage->pack > 0 where a piece is not what its digest says and the catalogue does not know that. */
gssize window_read(Window *window, guint64 offset, void *buffer, gsize size, Damage *damage, GError **error);
/* How many of the `most` bytes from an offset are one run of one pack, all found whole before; *fd (the window's) at
 * *at has them. */
guint64 window_run(Window *window, guint64 offset, guint64 most, int *fd, guint64 *at);
/* Appends digest and length (u32 little-endian) of each piece. */
void window_list(const Window *window, GByteArray *list);

/* Packs: numbered files that hold pieces, DIR/packs/NUMBER.pack, made of segments (segment.h).
 *
 * Invariant: bytes of a pack that were written are never written again; a pack goes away as a whole. A Pack that
 * somebody holds can be read to its end, even when its file has been removed. Thread safe. */
#pragma once

#include <glib.h>

typedef struct Packs Packs;
typedef struct Pack Pack;

Packs *packs_open(const char *folder, GError **error);
void packs_close(Packs *packs);
/* The path of a pack that may or may not be there; free it. */
char *packs_path(const Packs *packs, gint64 number);
/* The highest number that a file has; 0: there is none. */
gint64 packs_highest(const Packs *packs);
/* All numbers, ascending: GArray of gint64; free it. */
GArray *packs_list(const Packs *packs);
/* Opens it for reading; whoever holds it already shares it. */
Pack *packs_get(Packs *packs, gint64 number, GError **error);
/* Removes the file; who holds it keeps it. */
gboolean packs_remove(Packs *packs, gint64 number, GError **error);

Pack *pack_ref(Pack *pack);
void pack_unref(Pack *pack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pack, pack_unref)
int pack_fd(const Pack *pack); /* the pack's own */
const char *pack_path(const Pack *pack);
gint64 pack_number(const Pack *pack);
/* A number that is another one when somebody has written to the file since it was asked for last: what was found whole
 * before has to be looked at again then. */
guint32 pack_generation(Pack *pack);

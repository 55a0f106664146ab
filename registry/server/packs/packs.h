/* Packs: immutable objects that hold pieces, made of segments (segment.h). Here they are files, DIR/packs/NUMBER.pack.
 *
 * Invariants: a pack is put as a whole and is durable when packs_put returns; its bytes never change; it goes away as a
 * whole. Its number is random and never used again. A Pack that is held can be read to its end, even when it has been
 * removed. Nothing here appends, overwrites or truncates. Thread safe. */
#pragma once

#include <glib.h>

typedef struct Packs Packs;
typedef struct Pack Pack;

Packs *packs_open(const char *folder, GError **error);
void packs_close(Packs *packs);
/* Makes the file at `path`, which is on the same file system, a pack of a new number. The file's own name stays: the
 * caller unlinks it when the pack counts, or goes on with it once the pack has been removed again. */
gboolean packs_put(Packs *packs, const char *path, gint64 *number, GError **error);
/* The path of a pack that may or may not be there; free it. */
char *packs_path(const Packs *packs, gint64 number);
/* All numbers, ascending: GArray of gint64; free it. */
GArray *packs_list(const Packs *packs, GError **error);
/* Whether files of that folder can be put. FALSE: they are on another file system. */
gboolean packs_can_take(const Packs *packs, const char *folder, GError **error);
/* Opens a pack for reading; one that is open already is shared. A missing one is CORRUPT: only packs are asked for that
 * the catalogue knows. */
Pack *packs_get(Packs *packs, gint64 number, GError **error);
/* Removes a pack; those who hold it keep it. */
gboolean packs_remove(Packs *packs, gint64 number, GError **error);
/* Whether a pack is open here that another process has removed. */
gboolean packs_has_removed(Packs *packs);
/* Moves a pack to DIR/packs/lost, where nothing looks for it. */
gboolean packs_set_aside(Packs *packs, gint64 number, GError **error);

Pack *pack_ref(Pack *pack);
void pack_unref(Pack *pack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pack, pack_unref)
/* All `size` bytes at `offset`; CORRUPT where the pack ends before. */
gboolean pack_read(const Pack *pack, guint64 offset, void *buffer, gsize size, GError **error);
gboolean pack_size(const Pack *pack, guint64 *size, GError **error);
/* A descriptor for sendfile, the pack's own; nothing else is done with it. */
int pack_fd(const Pack *pack);
const char *pack_path(const Pack *pack); /* for messages */
gint64 pack_number(const Pack *pack);
/* A number that is another one once the pack's file has been changed from outside: what was found whole before has to
 * be looked at again then. */
guint32 pack_generation(Pack *pack);
/* The same over closing and opening: what the file is known by as it is now; 0: unknown. */
guint64 pack_stamp(const Pack *pack);
/* Whether the file that is open still has its name: else it ends with its last reader. */
gboolean pack_is_there(const Pack *pack);

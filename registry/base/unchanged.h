/* Files that have to stay as they are while they are read.
 *
 * What is read of a file that others write meanwhile may be no state that it ever had, and one that is opened twice may
 * be two files. So it is looked at before the first byte is read, and again after the last: by its path, since whoever
 * opens it by that would read another one. A rename, a new link, owner or mode counts as a change: what the kernel
 * notes of those can't be told from what it notes of content. Clocks of file systems go in ticks of some
 * milliseconds: of two changes within one, the second does not show. */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

/* A text that is another one as soon as the file has changed: its device, inode, size, and the times of its last
 * changes. Free it. */
char *unchanged_stamp(const struct stat *info);

typedef struct Unchanged Unchanged;

/* None yet. One thread at a time. */
Unchanged *unchanged_new(void);
Unchanged *unchanged_ref(Unchanged *files);
void unchanged_unref(Unchanged *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Unchanged, unchanged_unref)

/* From now on; one that was added before stays as it was then. Only regular files show what is done to them: others are
 * not looked at. */
gboolean unchanged_add(Unchanged *files, const char *path, GError **error);
/* Refuses (INVALID) what was written, replaced or removed since it was added. name: what errors call it. */
gboolean unchanged_check(const Unchanged *files, const char *name, GError **error);

G_END_DECLS

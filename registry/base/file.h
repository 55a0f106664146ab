/* Files that are whole or not there: replace by rename after fsync, full reads and writes, locks, trees. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Writes size bytes to a temporary name beside path, fsyncs, renames it over path, fsyncs the folder. */
gboolean ingot_file_replace(const char *path, const void *data, gsize size, int mode, GError **error);

/* The whole file; refuses one longer than limit bytes (INVALID). A pipe is read to its end; a wait for it ends with
 * INTERRUPTED where the process is to end (process.h), as any call here does that a signal breaks off. */
GBytes *ingot_file_read(const char *path, gsize limit, GError **error);

/* The same of a file that a program keeps for itself: CORRUPT where something else stands in its place, which is
 * neither followed (a link) nor waited for (a pipe). */
GBytes *ingot_file_read_regular(const char *path, gsize limit, GError **error);
/* Whether a regular file is there, and not a link to one. */
gboolean ingot_file_is_regular(const char *path);

/* All size bytes at offset, or an error that names `name` and the offset. A short file is CORRUPT. */
gboolean ingot_file_pread(int fd, void *buffer, gsize size, guint64 offset, const char *name, GError **error);
gboolean ingot_file_pwrite(int fd, const void *buffer, gsize size, guint64 offset, const char *name, GError **error);

/* Waits until a pipe or the like can be read or written; INTERRUPTED as above. */
gboolean ingot_file_wait(int fd, gboolean to_write, const char *path, GError **error);

/* open(2) with O_CLOEXEC and an error that names the path; -1 on failure. */
int ingot_file_open(const char *path, int flags, int mode, GError **error);

/* Whether path names the file that is open as fd. */
gboolean ingot_file_is_named(int fd, const char *path);

/* fsync(2) of the folder that holds path, so that the names in it last. */
gboolean ingot_file_sync_folder(const char *path, GError **error);

/* rename(2), after fsync of fd (-1: none), then fsync of the target's folder. */
gboolean ingot_file_publish(int fd, const char *temporary, const char *path, GError **error);

/* A small file's bytes and mode under another name, over what is there. */
gboolean ingot_file_copy(const char *from, const char *to, GError **error);

/* mkdir -p; removal of a whole tree (not following links; nothing there is no error). */
gboolean ingot_file_make_folder(const char *path, GError **error);
/* FALSE where something stands in a folder's place, or a link that leads nowhere; a folder that is not there is none.
 */
gboolean ingot_file_check_folder(const char *path, GError **error);
gboolean ingot_file_remove_tree(const char *path, GError **error);

/* An flock(2) on a file that is created when missing. wait FALSE: held by another is EXISTS. A wait ends with
 * INTERRUPTED where the process is to end (process.h). */
typedef struct IngotLock IngotLock;
IngotLock *ingot_lock_take(const char *path, gboolean exclusive, gboolean wait, GError **error);
/* Waits in the same way for a lock on an open file, whose path is for errors. */
gboolean ingot_lock_wait(int fd, gboolean exclusive, const char *path, GError **error);
void ingot_lock_release(IngotLock *lock);
/* Both waits give a note once they have taken a second: what holds the lock, on which file. The program's main sets
 * where notes go, which any thread may call; without that there are none. */
typedef void (*IngotLockNote)(const char *note);
void ingot_lock_set_note(IngotLockNote note);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotLock, ingot_lock_release)

/* A folder for one command's work files under /var/tmp, or where the program has said: mode 0700, held by a lock,
 * removed with its content by ingot_workdir_free. Making one sweeps those that a killed command of the same user left.
 */
typedef struct IngotWorkdir IngotWorkdir;
IngotWorkdir *ingot_workdir_new(GError **error);
/* For the program's main, once: where all of them are from then on ($TMPDIR); NULL or "": /var/tmp. It stays
 * the caller's. */
void ingot_workdir_use(const char *parent);
const char *ingot_workdir_path(const IngotWorkdir *workdir);
char *ingot_workdir_file(const IngotWorkdir *workdir, const char *name); /* path of NAME within; free it */
void ingot_workdir_keep(IngotWorkdir *workdir);                          /* not removed by free, nor swept */
void ingot_workdir_free(IngotWorkdir *workdir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotWorkdir, ingot_workdir_free)

/* A file descriptor that closes itself: g_auto(IngotFd) fd = …; -1 is none. */
typedef int IngotFd;
void ingot_fd_clear(IngotFd *fd);
/* Closes what was written, and hears what the file system says only then: NFS, CIFS and FUSE of a full disk, a quota or
 * a lost server. To be called before a file that was not synced gets its name. `name` names it in errors. */
gboolean ingot_fd_close(IngotFd *fd, const char *name, GError **error);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(IngotFd, ingot_fd_clear)

G_END_DECLS

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/process.h"

#define READ_SIZE (1u << 18)

void ingot_fd_clear(IngotFd *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

gboolean ingot_fd_close(IngotFd *fd, const char *name, GError **error)
{
    /* Never twice: Linux has given the number back whatever close says. */
    return close(g_steal_fd(fd)) == 0 || ingot_error_set_errno(error, errno, "%s: cannot finish writing", name);
}

int ingot_file_open(const char *path, int flags, int mode, GError **error)
{
    int fd;

    while ((fd = open(path, flags | O_CLOEXEC, mode)) < 0 && errno == EINTR)
        if (!ingot_interrupt_check(error))
            return -1;
    if (fd < 0)
        ingot_error_set_errno(error, errno, "%s: cannot %s", path, flags & O_CREAT ? "create" : "open");
    return fd;
}

gboolean ingot_file_pread(int fd, void *buffer, gsize size, guint64 offset, const char *name, GError **error)
{
    guint8 *next = buffer;

    while (size > 0) {
        gssize got = pread(fd, next, size, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            if (!ingot_interrupt_check(error))
                return FALSE;
            continue;
        }
        if (got < 0)
            return ingot_error_set_errno(error, errno, "%s: cannot read at offset %" G_GUINT64_FORMAT, name, offset);
        if (got == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                        "%s: cut short: it ends at or before offset %" G_GUINT64_FORMAT ", %" G_GSIZE_FORMAT
                        " bytes more belong there",
                        name, offset, size);
            return FALSE;
        }
        next += got;
        offset += (guint64)got;
        size -= (gsize)got;
    }
    return TRUE;
}

gboolean ingot_file_pwrite(int fd, const void *buffer, gsize size, guint64 offset, const char *name, GError **error)
{
    const guint8 *next = buffer;

    while (size > 0) {
        gssize put = pwrite(fd, next, size, (off_t)offset);
        if (put < 0 && errno == EINTR) {
            if (!ingot_interrupt_check(error))
                return FALSE;
            continue;
        }
        if (put < 0)
            return ingot_error_set_errno(error, errno, "%s: cannot write at offset %" G_GUINT64_FORMAT, name, offset);
        next += put;
        offset += (guint64)put;
        size -= (gsize)put;
    }
    return TRUE;
}

/* A pipe or a terminal may never be ready: the wait for it ends where the process is to end. */
gboolean ingot_file_wait(int fd, gboolean to_write, const char *path, GError **error)
{
    struct pollfd waits[] = {{.fd = fd, .events = to_write ? POLLOUT : POLLIN},
                             {.fd = ingot_interrupt_fd(), .events = POLLIN}};

    while (poll(waits, G_N_ELEMENTS(waits), -1) < 0 && errno == EINTR)
        if (!ingot_interrupt_check(error))
            return FALSE;
    if (waits[1].revents && !ingot_interrupt_check(error))
        return FALSE;
    return !(waits[0].revents & POLLNVAL) ||
           ingot_error_set_errno(error, EBADF, "%s: cannot %s", path, to_write ? "write" : "read");
}

static gboolean is_plain(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

/* -1 and an error, 0 at the end. */
static gssize read_some(int fd, gboolean waits, guint8 *buffer, const char *path, GError **error)
{
    for (;;) {
        if (waits && !ingot_file_wait(fd, FALSE, path, error))
            return -1;
        gssize got = read(fd, buffer, READ_SIZE);
        if (got >= 0)
            return got;
        if (errno != EINTR && !(waits && errno == EAGAIN)) {
            ingot_error_set_errno(error, errno, "%s: cannot read", path);
            return -1;
        }
        if (!ingot_interrupt_check(error))
            return -1;
    }
}

static gboolean read_at_most(int fd, gsize limit, const char *path, GByteArray *content, GError **error)
{
    g_autofree guint8 *buffer = g_malloc(READ_SIZE);
    gboolean waits = !is_plain(fd);
    gssize got;

    while ((got = read_some(fd, waits, buffer, path, error)) > 0) {
        if ((gsize)got > limit - content->len) {
            g_autofree char *most = g_strdup_printf("%" G_GSIZE_FORMAT, limit);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: longer than the %s bytes allowed here", path,
                        most);
            return FALSE;
        }
        g_byte_array_append(content, buffer, (guint)got);
    }
    return got == 0;
}

GBytes *ingot_file_read(const char *path, gsize limit, GError **error)
{
    /* To open a pipe waits for who writes into it, which is for ingot_file_wait to do. */
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY | O_NONBLOCK, 0, error);
    if (fd < 0)
        return NULL;
    g_autoptr(GByteArray) content = g_byte_array_new();
    if (!read_at_most(fd, limit, path, content, error))
        return NULL;
    return g_byte_array_free_to_bytes(g_steal_pointer(&content));
}

gboolean ingot_file_is_regular(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

GBytes *ingot_file_read_regular(const char *path, gsize limit, GError **error)
{
    struct stat st;
    if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %s stands in the place of a file", path,
                    S_ISDIR(st.st_mode)    ? "a folder"
                    : S_ISLNK(st.st_mode)  ? "a link"
                    : S_ISFIFO(st.st_mode) ? "a pipe"
                                           : "something else");
        return NULL;
    }
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, error);
    g_autoptr(GByteArray) content = g_byte_array_new();
    return fd >= 0 && read_at_most(fd, limit, path, content, error)
               ? g_byte_array_free_to_bytes(g_steal_pointer(&content))
               : NULL;
}

gboolean ingot_file_sync_folder(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_auto(IngotFd) fd = ingot_file_open(folder, O_RDONLY | O_DIRECTORY, 0, error);

    if (fd < 0)
        return FALSE;
    /* Some file systems cannot sync a folder and say EINVAL; their renames are as durable as they get. */
    if (fsync(fd) < 0 && errno != EINVAL)
        return ingot_error_set_errno(error, errno, "%s: cannot sync", folder);
    return TRUE;
}

gboolean ingot_file_publish(int fd, const char *temporary, const char *path, GError **error)
{
    if (fd >= 0 && fsync(fd) < 0)
        return ingot_error_set_errno(error, errno, "%s: cannot sync", temporary);
    if (rename(temporary, path) < 0)
        return ingot_error_set_errno(error, errno, "%s: cannot rename to %s", temporary, path);
    return ingot_file_sync_folder(path, error);
}

gboolean ingot_file_replace(const char *path, const void *data, gsize size, int mode, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *temporary = g_strdup_printf("%s/.%s.XXXXXX", folder, base);
    g_auto(IngotFd) fd = g_mkstemp_full(temporary, O_WRONLY | O_CLOEXEC, mode);

    if (fd < 0)
        return ingot_error_set_errno(error, errno, "%s: cannot create a file beside it", path);
    if (!ingot_file_pwrite(fd, data, size, 0, path, error) || !ingot_file_publish(fd, temporary, path, error)) {
        unlink(temporary); /* after a rename that could not be synced there is none: no harm */
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_file_copy(const char *from, const char *to, GError **error)
{
    g_autoptr(GFile) source = g_file_new_for_path(from);
    g_autoptr(GFile) target = g_file_new_for_path(to);
    return g_file_copy(source, target, G_FILE_COPY_OVERWRITE, NULL, NULL, NULL, error);
}

gboolean ingot_file_make_folder(const char *path, GError **error)
{
    if (g_mkdir_with_parents(path, 0777) < 0)
        return ingot_error_set_errno(error, errno, "%s: cannot make the folder", path);
    return TRUE;
}

gboolean ingot_file_check_folder(const char *path, GError **error)
{
    struct stat st, link;
    if (stat(path, &st) == 0) {
        return S_ISDIR(st.st_mode) || ingot_error_set_errno(error, ENOTDIR, "%s", path);
    }
    int number = errno;
    if (number == ENOENT && lstat(path, &link) != 0)
        return TRUE;
    return ingot_error_set_errno(error, number, number == ENOENT ? "%s: the link leads nowhere" : "%s", path);
}

/* What fts shows may be gone by now: somebody else removes the same tree, and that is as well. */
static int remove_entry(const FTSENT *entry)
{
    int failed = 0;

    switch (entry->fts_info) {
    case FTS_D: /* a folder that was made read-only is still to be emptied */
        if ((entry->fts_statp->st_mode & S_IRWXU) != S_IRWXU)
            failed = chmod(entry->fts_accpath, S_IRWXU);
        break;
    case FTS_DP:
        failed = rmdir(entry->fts_accpath);
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        errno = entry->fts_errno;
        failed = -1;
        break;
    default:
        failed = unlink(entry->fts_accpath);
        break;
    }
    return failed < 0 && errno != ENOENT ? errno : 0;
}

gboolean ingot_file_remove_tree(const char *path, GError **error)
{
    char *roots[] = {(char *)path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    FTSENT *entry;
    int first = 0;
    g_autofree char *where = NULL;

    if (!tree)
        return ingot_error_set_errno(error, errno, "%s: cannot remove", path);
    while ((entry = fts_read(tree))) {
        int errnum = remove_entry(entry);
        if (errnum && !first) {
            first = errnum;
            where = g_strdup(entry->fts_path);
        }
    }
    fts_close(tree);
    return first ? ingot_error_set_errno(error, first, "%s: cannot remove", where) : TRUE;
}

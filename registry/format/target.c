#include "format/target.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/devices.h"
#include "base/file.h"
#include "base/text.h"

#define LINKS_MAX 40 /* as the kernel follows */
#define ACCESS_LIST "system.posix_acl_access"

void format_target_clear(FormatTarget *target)
{
    g_free(target->path);
}

/* In a folder where everybody may write, as /tmp, a link that another has put there is not followed: the rule of
 * fs.protected_symlinks, which the kernel does not apply to links that are followed by hand. */
static gboolean check_owner(const char *at, const struct stat *link, const char *folder, GError **error)
{
    struct stat above;
    if (stat(folder, &above) != 0) {
        return ingot_error_set_errno(error, errno, "%s", folder);
    }
    gboolean shared = (above.st_mode & S_ISVTX) != 0 && (above.st_mode & S_IWOTH) != 0;
    if (shared && link->st_uid != geteuid() && link->st_uid != above.st_uid) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "%s: is another user's symbolic link in a folder for all, which is not followed", at);
        return FALSE;
    }
    return TRUE;
}

/* One link further: *next is NULL where the path is none. What is checked is what is read, by one descriptor. */
static gboolean follow_one(const char *at, char **next, GError **error)
{
    g_auto(IngotFd) fd = open(at, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    *next = NULL;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISLNK(st.st_mode)) {
        return TRUE;
    }
    char link[PATH_MAX] = "";
    g_autofree char *folder = g_path_get_dirname(at);
    if (!check_owner(at, &st, folder, error)) {
        return FALSE;
    }
    if (readlinkat(fd, "", link, sizeof link - 1) < 0) {
        return ingot_error_set_errno(error, errno, "%s", at);
    }
    *next = g_path_is_absolute(link) ? g_strdup(link) : g_build_filename(folder, link, NULL);
    return TRUE;
}

/* Follows the links at the end of the path, also to what is not there yet. Free it. */
static char *follow(const char *path, GError **error)
{
    g_autofree char *at = g_strdup(path);
    for (guint i = 0; i < LINKS_MAX; i++) {
        char *next;
        if (!follow_one(at, &next, error)) {
            return NULL;
        }
        if (next == NULL) {
            return g_steal_pointer(&at);
        }
        g_free(at);
        at = next;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: its symbolic links lead nowhere", path);
    return NULL;
}

/* "/proc/PID/fd/N" where the path leads there, else NULL. What that link reads like is no path, or another file than
 * the one that is open. Free it. */
static char *find_descriptor(const char *path)
{
    g_autofree char *at = g_strdup(path);
    for (guint i = 0; i < LINKS_MAX; i++) {
        g_autofree char *folder = g_path_get_dirname(at), *name = g_path_get_basename(at);
        char real[PATH_MAX], link[PATH_MAX] = "";
        if (realpath(folder, real) == NULL || readlink(at, link, sizeof link - 1) < 0) {
            return NULL;
        }
        if (g_regex_match_simple("^/proc/[0-9]+(/task/[0-9]+)?/fd$", real, 0, 0)) {
            return g_build_filename(real, name, NULL);
        }
        g_free(at);
        at = g_path_is_absolute(link) ? g_strdup(link) : g_build_filename(folder, link, NULL);
    }
    return NULL;
}

gboolean format_target_is_stream(const char *path)
{
    g_autofree char *descriptor = find_descriptor(path);
    struct stat st;
    return descriptor != NULL || (stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)));
}

/* A copy goes on where the descriptor is; what is opened anew would begin at the file's first byte. */
int format_target_open_stream(const char *path, GError **error)
{
    g_autofree char *descriptor = find_descriptor(path);
    g_autofree char *own = g_strdup_printf("/proc/%d/", (int)getpid());
    if (descriptor == NULL || !g_str_has_prefix(descriptor, own)) {
        return ingot_file_open(path, O_WRONLY | O_NOCTTY, 0, error);
    }
    int number = (int)g_ascii_strtoll(strrchr(descriptor, '/') + 1, NULL, 10), flags = fcntl(number, F_GETFL);
    if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        flags = -1;
    }
    int fd = flags < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0) {
        ingot_error_set_errno(error, errno, "%s: cannot write", path);
    }
    return fd;
}

gboolean format_target_check(const char *path, GError **error)
{
    g_auto(FormatTarget) place = {0};
    if (!format_target_find(path, &place, error)) {
        return FALSE;
    }
    g_autofree char *folder = g_path_get_dirname(place.path);
    return place.device || access(folder, W_OK | X_OK) == 0 ||
           ingot_error_set_errno(error, errno, "%s: no file can be made in %s", path, folder);
}

/* Where a file would not be, nor anything that could be written as one. */
static gboolean refuse_place(const char *path, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s; give a name of a new one", path, why);
    return FALSE;
}

gboolean format_target_find(const char *path, FormatTarget *target, GError **error)
{
    struct stat st;
    if (*path == '\0' || g_str_has_suffix(path, "/")) {
        return refuse_place(*path == '\0' ? "''" : path, "is no file's name", error);
    }
    if (format_target_is_stream(path)) {
        return refuse_place(path, "takes a stream, which a raw disk alone can be", error);
    }
    target->path = follow(path, error);
    if (target->path == NULL) {
        return FALSE;
    }
    if (stat(target->path, &st) != 0) {
        return TRUE; /* a new file */
    }
    if (S_ISREG(st.st_mode)) {
        target->replaces = TRUE;
        target->before = st;
        return TRUE;
    }
    if (S_ISBLK(st.st_mode)) {
        target->device = TRUE;
        target->number = st.st_rdev;
        return TRUE;
    }
    return refuse_place(path, "is no plain file and no block device", error);
}

/* The new file has a list from its folder where that has one for new files. */
static gboolean drop_access_list(int fd)
{
    return fremovexattr(fd, ACCESS_LIST) == 0 || errno == ENODATA || errno == ENOTSUP;
}

/* FALSE: the new file has another list than the one that it replaces. */
static gboolean copy_access_list(const char *path, int fd)
{
    g_autofree char *list = g_malloc(XATTR_SIZE_MAX);
    ssize_t size = getxattr(path, ACCESS_LIST, list, XATTR_SIZE_MAX);
    if (size < 0) {
        return (errno == ENODATA || errno == ENOTSUP) && drop_access_list(fd);
    }
    return fsetxattr(fd, ACCESS_LIST, list, (size_t)size, 0) == 0;
}

gboolean format_target_keep_access(const FormatTarget *target, int fd, GError **error)
{
    const struct stat *before = &target->before;
    struct stat now;
    mode_t mode = before->st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
    gboolean has_group = fchown(fd, before->st_uid, before->st_gid) == 0 || fchown(fd, (uid_t)-1, before->st_gid) == 0;
    /* With a list, the mode's bits of the group are the most that the list gives anybody. */
    if (!copy_access_list(target->path, fd) || !has_group) {
        mode &= ~(mode_t)S_IRWXG | (mode & S_IRWXO) << 3;
    }
    if (fchmod(fd, mode) == 0) {
        return TRUE;
    }
    /* A file system without modes gives every file the same. */
    int number = errno;
    return (fstat(fd, &now) == 0 && (now.st_mode & (S_IRWXG | S_IRWXO) & ~mode) == 0) ||
           ingot_error_set_errno(error, number, "%s: cannot keep its mode", target->path);
}

gboolean format_target_fits(const char *path, guint64 size, guint64 needed, GError **error)
{
    if (size >= needed) {
        return TRUE;
    }
    g_autofree char *has = ingot_text_size(size), *needs = ingot_text_size(needed);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: the device is too small: it has %s (%" G_GUINT64_FORMAT " bytes), and %s (%" G_GUINT64_FORMAT
                ") are needed",
                path, has, size, needs, needed);
    return FALSE;
}

static gboolean check_mounts(const FormatTarget *target, GError **error)
{
    g_autofree char *point = NULL;
    if (!device_find_mount(target->path, target->number, FALSE, &point, error)) {
        return FALSE;
    }
    if (point != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it, or a partition of it, is mounted at %s: nothing is written to it", target->path, point);
    }
    return point == NULL;
}

int format_target_open_device(const FormatTarget *target, guint64 needed, GError **error)
{
    guint64 size = 0;
    if (!check_mounts(target, error)) {
        return -1;
    }
    /* Of a block device, O_EXCL is refused where the kernel uses it, by whatever mount namespace. */
    g_auto(IngotFd) fd = open(target->path, O_RDWR | O_EXCL | O_CLOEXEC);
    if (fd < 0) {
        ingot_error_set_errno(error, errno, "%s: cannot open the device%s", target->path,
                              errno == EBUSY ? ", which is in use" : "");
        return -1;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISBLK(st.st_mode) || st.st_rdev != target->number) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: is another thing than it was", target->path);
        return -1;
    }
    if (ioctl(fd, BLKGETSIZE64, &size) != 0) {
        ingot_error_set_errno(error, errno, "%s: its size can't be told", target->path);
        return -1;
    }
    if (!format_target_fits(target->path, size, needed, error)) {
        return -1;
    }
    return g_steal_fd(&fd);
}

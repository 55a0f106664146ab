#include "format/target.h"

#include "base/file.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel follows */

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

gboolean format_target_find(const char *path, FormatTarget *target, GError **error)
{
    struct stat st;
    target->path = follow(path, error);
    if (target->path == NULL) {
        return FALSE;
    }
    if (stat(target->path, &st) != 0 || S_ISREG(st.st_mode)) {
        return TRUE; /* a new file, or one in the place of another */
    }
    if (S_ISBLK(st.st_mode)) {
        target->device = TRUE;
        target->number = st.st_rdev;
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: is no plain file and no block device; give a name of a new one", path);
    return FALSE;
}

char *format_target_mounted(const char *mountinfo, const guint64 *numbers, guint count)
{
    g_auto(GStrv) lines = g_strsplit(mountinfo, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        unsigned high, low;
        int where = 0;
        if (sscanf(lines[i], "%*u %*u %u:%u %*s %n", &high, &low, &where) != 2 || where == 0) {
            continue;
        }
        for (guint k = 0; k < count; k++) {
            if (numbers[k] == makedev(high, low)) {
                g_autofree char *point = g_strndup(lines[i] + where, strcspn(lines[i] + where, " "));
                return g_strcompress(point); /* blanks are \\040 there */
            }
        }
    }
    return NULL;
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

/* The numbers of the device and its partitions: guint64. */
static GArray *numbers_of(guint64 number)
{
    GArray *numbers = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_array_append_val(numbers, number);
    g_autofree char *folder = g_strdup_printf("/sys/dev/block/%u:%u", major(number), minor(number));
    g_autoptr(GDir) entries = g_dir_open(folder, 0, NULL);
    const char *entry;
    while (entries != NULL && (entry = g_dir_read_name(entries)) != NULL) {
        g_autofree char *file = g_build_filename(folder, entry, "dev", NULL), *text = NULL;
        unsigned high, low;
        if (g_file_get_contents(file, &text, NULL, NULL) && sscanf(text, "%u:%u", &high, &low) == 2) {
            guint64 part = makedev(high, low);
            g_array_append_val(numbers, part);
        }
    }
    return numbers;
}

static gboolean check_mounts(const FormatTarget *target, GError **error)
{
    g_autofree char *mountinfo = NULL;
    g_autoptr(GArray) numbers = numbers_of(target->number);
    if (!g_file_get_contents("/proc/self/mountinfo", &mountinfo, NULL, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%s: whether it is mounted can't be told: /proc/self/mountinfo can't be read", target->path);
        return FALSE;
    }
    g_autofree char *point = format_target_mounted(mountinfo, (const guint64 *)(gpointer)numbers->data, numbers->len);
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

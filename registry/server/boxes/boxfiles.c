#include "server/boxes/boxfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "server/auth/random.h"

#define FOLDER "box-uploads"
#define PART ".part"

struct BoxFiles {
    char *folder;
};

gboolean boxfiles_is_id(const char *text)
{
    return strlen(text) == RANDOM_ID_SIZE && strspn(text, "0123456789abcdef") == RANDOM_ID_SIZE;
}

/* --- the folder --- */

static char *part_path(const BoxFiles *files, const char *id)
{
    return g_strconcat(files->folder, "/", id, PART, NULL);
}

char *boxfiles_path(const BoxFiles *files, const char *id)
{
    return g_build_filename(files->folder, id, NULL);
}

/* Whoever writes one holds its lock. */
static gboolean is_left(const char *path)
{
    g_auto(IngotFd) fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void drop_parts(const BoxFiles *files)
{
    g_autoptr(GDir) folder = g_dir_open(files->folder, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *path = g_build_filename(files->folder, name, NULL);
        if (g_str_has_suffix(name, PART) && is_left(path)) {
            unlink(path);
        }
    }
}

BoxFiles *boxfiles_open(const char *data, GError **error)
{
    BoxFiles *files = g_new0(BoxFiles, 1);
    files->folder = g_build_filename(data, FOLDER, NULL);
    if (g_mkdir_with_parents(files->folder, 0700) != 0) {
        ingot_error_set_errno(error, errno, "%s", files->folder);
        boxfiles_free(files);
        return NULL;
    }
    drop_parts(files);
    return files;
}

void boxfiles_free(BoxFiles *files)
{
    if (files != NULL) {
        g_free(files->folder);
        g_free(files);
    }
}

char **boxfiles_list(const BoxFiles *files)
{
    g_autoptr(GStrvBuilder) ids = g_strv_builder_new();
    g_autoptr(GDir) folder = g_dir_open(files->folder, 0, NULL);
    const char *name;
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        if (boxfiles_is_id(name)) {
            g_strv_builder_add(ids, name);
        }
    }
    return g_strv_builder_end(ids);
}

/* --- a file --- */

static guint count_files(const BoxFiles *files)
{
    guint count = 0;
    g_autoptr(GDir) folder = g_dir_open(files->folder, 0, NULL);
    while (folder != NULL && g_dir_read_name(folder) != NULL) {
        count++;
    }
    return count;
}

guint64 boxfiles_bytes(const BoxFiles *files)
{
    guint64 bytes = 0;
    const char *name;
    g_autoptr(GDir) folder = g_dir_open(files->folder, 0, NULL);
    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        struct stat about;
        g_autofree char *path = g_build_filename(files->folder, name, NULL);
        bytes += stat(path, &about) == 0 ? (guint64)about.st_size : 0;
    }
    return bytes;
}

int boxfiles_begin(BoxFiles *files, const char *id, GError **error)
{
    g_autofree char *path = part_path(files, id);
    if (count_files(files) >= BOX_FILES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%u boxes wait to be taken in: try again later",
                    BOX_FILES_MAX);
        return -1;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another request brings this box");
    } else if (fd < 0) {
        ingot_error_set_errno(error, errno, "%s", path);
    } else {
        flock(fd, LOCK_EX | LOCK_NB); /* it is new: nobody has it */
    }
    return fd;
}

gboolean boxfiles_end(BoxFiles *files, const char *id, int fd, GError **error)
{
    g_autofree char *part = part_path(files, id), *path = boxfiles_path(files, id);
    return (fsync(fd) == 0 && rename(part, path) == 0) || ingot_error_set_errno(error, errno, "%s", path);
}

void boxfiles_drop_part(BoxFiles *files, const char *id)
{
    g_autofree char *path = part_path(files, id);
    unlink(path);
}

void boxfiles_drop(BoxFiles *files, const char *id)
{
    g_autofree char *path = boxfiles_path(files, id);
    unlink(path);
}

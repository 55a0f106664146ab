#include "base/newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"

struct IngotNewFile {
    char *path;
    char *beside; /* the name that it has for now; NULL: none */
    int fd;
};

void ingot_newfile_free(IngotNewFile *file)
{
    if (!file)
        return;
    if (file->beside)
        unlink(file->beside);
    ingot_fd_clear(&file->fd);
    g_free(file->beside);
    g_free(file->path);
    g_free(file);
}

static char *draw_name(const char *folder)
{
    return g_strdup_printf("%s/.ingot-%08x%08x", folder, g_random_int(), g_random_int());
}

/* How a file without a name is named: by the name that the kernel has for its descriptor. */
static char *descriptor_path(int fd)
{
    return g_strdup_printf("/proc/self/fd/%d", fd);
}

static int open_nameless(const char *folder, int mode)
{
    g_auto(IngotFd) fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, mode);
    g_autofree char *way = descriptor_path(fd);
    return fd >= 0 && access(way, F_OK) == 0 ? g_steal_fd(&fd) : -1;
}

static gboolean open_named(IngotNewFile *file, const char *folder, int mode, GError **error)
{
    do {
        g_free(file->beside);
        file->beside = draw_name(folder);
        file->fd = open(file->beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    } while (file->fd < 0 && errno == EEXIST);
    if (file->fd >= 0)
        return TRUE;
    ingot_error_set_errno(error, errno, "%s: cannot create", file->path);
    g_clear_pointer(&file->beside, g_free); /* what may be there is not ours */
    return FALSE;
}

IngotNewFile *ingot_newfile_open(const char *path, int mode, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(IngotNewFile) file = g_new0(IngotNewFile, 1);
    file->path = g_strdup(path);
    file->fd = open_nameless(folder, mode);
    return file->fd >= 0 || open_named(file, folder, mode, error) ? g_steal_pointer(&file) : NULL;
}

int ingot_newfile_fd(const IngotNewFile *file)
{
    return file->fd;
}

static gboolean link_beside(IngotNewFile *file, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(file->path), *way = descriptor_path(file->fd), *name = NULL;
    do {
        g_free(name);
        name = draw_name(folder);
        if (linkat(AT_FDCWD, way, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            file->beside = g_steal_pointer(&name);
            return TRUE;
        }
    } while (errno == EEXIST);
    return ingot_error_set_errno(error, errno, "%s: cannot name the file", file->path);
}

gboolean ingot_newfile_name(IngotNewFile *file, GError **error)
{
    if ((!file->beside && !link_beside(file, error)) || !ingot_fd_close(&file->fd, file->path, error))
        return FALSE;
    if (rename(file->beside, file->path) < 0)
        return ingot_error_set_errno(error, errno, "%s", file->path);
    g_clear_pointer(&file->beside, g_free);
    return TRUE;
}

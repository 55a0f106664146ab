#include "server/storage/reserve.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"

#define RESERVE (2u << 20) /* bytes */

static guint64 reserve_room(const char *data)
{
    struct statvfs room;
    return statvfs(data, &room) == 0 ? (guint64)room.f_bavail * room.f_frsize : 0;
}

void reserve_make(const char *data)
{
    g_autofree char *path = g_build_filename(data, "reserve", NULL);
    if (access(path, F_OK) == 0 || reserve_room(data) < 2 * (guint64)RESERVE) {
        return;
    }
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0600, NULL);
    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE) != 0) {
        unlink(path);
    }
}

void reserve_release(const char *data)
{
    g_autofree char *path = g_build_filename(data, "reserve", NULL);
    if (reserve_room(data) < RESERVE) {
        unlink(path);
    }
}

/* A disk that loses what was not flushed: preloaded into ingotd by tests/system/power.sh.
 *
 * The folder $LOSSY_DATA stands for what the page cache holds. $LOSSY_DISK receives what the disk holds: files/INODE,
 * the bytes of a file as of its last fsync or fdatasync, and folders/PATH, the names of a folder (a line "INODE NAME"
 * each) as of its last fsync. With $LOSSY_DEAF, paths that contain it are never flushed: as if the program forgot to.
 * When the process has been killed, tests/system/lossy.py makes of both what a power cut leaves. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"

int fsync(int fd);
int fdatasync(int fd);
int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

static _Atomic unsigned serial; /* of temporary files */

/* A file that replaces DISK/kind/name when it is whole. */
static int disk_begin(char temporary[PATH_MAX])
{
    snprintf(temporary, PATH_MAX, "%s/%d.%u", getenv("LOSSY_DISK"), (int)getpid(), serial++);
    return raw_open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void disk_end(int fd, const char *temporary, const char *kind, const char *name)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s/%s", getenv("LOSSY_DISK"), kind, name);
    close(fd);
    if (rename(temporary, path) != 0) {
        abort();
    }
}

static void disk_file(int fd, const struct stat *st)
{
    char temporary[PATH_MAX], name[32], buffer[1 << 16], self[64];
    int out = disk_begin(temporary);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd); /* it may be open for writing alone */
    int in = raw_open(self, O_RDONLY | O_CLOEXEC, 0);
    ssize_t count;
    for (off_t at = 0; (count = pread(in, buffer, sizeof buffer, at)) > 0; at += count) {
        if (write(out, buffer, (size_t)count) != count) {
            abort();
        }
    }
    close(in);
    snprintf(name, sizeof name, "%lu", (unsigned long)st->st_ino);
    disk_end(out, temporary, "files", name);
}

static void disk_folder(const char *path)
{
    char temporary[PATH_MAX], name[PATH_MAX];
    int out = disk_begin(temporary);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        dprintf(out, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    }
    closedir(dir);
    snprintf(name, sizeof name, "%s", path + strlen(getenv("LOSSY_DATA")));
    for (char *slash = name; (slash = strchr(slash, '/')) != NULL;) {
        *slash = '%';
    }
    disk_end(out, temporary, "folders", name[0] == '\0' ? "%" : name);
}

static void flushed(int fd)
{
    char self[64], path[PATH_MAX] = "";
    const char *data = getenv("LOSSY_DATA"), *deaf = getenv("LOSSY_DEAF");
    struct stat st;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (data == NULL || readlink(self, path, sizeof path - 1) < 0 || strncmp(path, data, strlen(data)) != 0 ||
        fstat(fd, &st) != 0 || (deaf != NULL && strstr(path, deaf) != NULL)) {
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        disk_folder(path);
    } else if (S_ISREG(st.st_mode)) {
        disk_file(fd, &st);
    }
}

/* The real ones are not called: the page cache stands for the disk's cache, and that is kept. */
int fsync(int fd)
{
    flushed(fd);
    return 0;
}

int fdatasync(int fd)
{
    flushed(fd);
    return 0;
}

/* A new file may have the inode of one that is gone: nothing of it is on the disk yet. */
static int opened(int fd, int flags)
{
    struct stat st;
    char path[PATH_MAX];
    if (fd >= 0 && (flags & O_CREAT) != 0 && getenv("LOSSY_DISK") != NULL && fstat(fd, &st) == 0 && st.st_size == 0) {
        snprintf(path, sizeof path, "%s/files/%lu", getenv("LOSSY_DISK"), (unsigned long)st.st_ino);
        unlink(path);
    }
    return fd;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? (mode_t)va_arg(arguments, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return opened(raw_open(path, flags, mode), flags);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return opened(raw_open(path, flags, mode), flags);
}

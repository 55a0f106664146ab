/* A disk that is slow with one file: preloaded into ingotd by tests/system/stall.sh and auth.sh.
 *
 * While the file $SLOW_WHILE is there, what is read of files whose path contains $SLOW_FILE does not come; where
 * $SLOW_FLUSH is set, it is their flushes alone that do not end. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_meant(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return strstr(path, getenv("SLOW_FILE")) != NULL && strstr(path, "-shm") == NULL; /* that is shared memory */
}

static void wait_for(int fd)
{
    while (access(getenv("SLOW_WHILE"), F_OK) == 0 && is_meant(fd)) {
        usleep(20000);
    }
}

int fdatasync(int fd)
{
    int (*call)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (getenv("SLOW_FLUSH") != NULL) {
        wait_for(fd);
    }
    return call(fd);
}

int fsync(int fd)
{
    return fdatasync(fd);
}

static ssize_t read_slowly(const char *name, int fd, void *buffer, size_t size, off_t offset)
{
    ssize_t (*call)(int, void *, size_t, off_t) = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, name);
    if (getenv("SLOW_FLUSH") == NULL) {
        wait_for(fd);
    }
    return call(fd, buffer, size, offset);
}

ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
    return read_slowly("pread", fd, buffer, size, offset);
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t offset)
{
    return read_slowly("pread64", fd, buffer, size, offset);
}

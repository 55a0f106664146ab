/* A machine that goes wrong: preloaded into ingotd by tests/system/machine.sh.
 *
 * While the file $MACHINE_FAULT has a number in it, whatever changes a file below $MACHINE_DATA ends with that error
 * (EROFS, EDQUOT, EIO). The file $MACHINE_CLOCK holds the seconds by which the clock of the day is off. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "real.h"

/* The number in the file that a variable names; 0: none. */
static long number_in(const char *variable)
{
    char text[32] = "";
    const char *path = getenv(variable);
    int saved = errno, fd = path == NULL ? -1 : raw_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        text[read(fd, text, sizeof text - 1) > 0 ? strlen(text) : 0] = '\0';
        close(fd);
    }
    errno = saved;
    return strtol(text, NULL, 10);
}

static int below(const char *path)
{
    const char *data = getenv("MACHINE_DATA");
    return data != NULL && strncmp(path, data, strlen(data)) == 0;
}

/* Whether it is to fail; errno says how. */
static int fails_at(const char *path)
{
    long fault = below(path) ? number_in("MACHINE_FAULT") : 0;
    if (fault != 0) {
        errno = (int)fault;
    }
    return fault != 0;
}

static int fails(int fd)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    return fails_at(path);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int writes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    return writes && fails_at(path) ? -1 : raw_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open64(path, flags, mode);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    ssize_t (*call)(int, const void *, size_t, off64_t) =
        (ssize_t(*)(int, const void *, size_t, off64_t))real("pwrite64");
    return fails(fd) ? -1 : call(fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return pwrite64(fd, data, size, at);
}

int ftruncate64(int fd, off64_t size)
{
    int (*call)(int, off64_t) = (int (*)(int, off64_t))real("ftruncate64");
    return fails(fd) ? -1 : call(fd, size);
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int rename(const char *from, const char *to)
{
    int (*call)(const char *, const char *) = (int (*)(const char *, const char *))real("rename");
    return fails_at(to) ? -1 : call(from, to);
}

int unlink(const char *path)
{
    int (*call)(const char *) = (int (*)(const char *))real("unlink");
    return fails_at(path) ? -1 : call(path);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*call)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))real("clock_gettime");
    int result = call(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += number_in("MACHINE_CLOCK");
    }
    return result;
}

time_t time(time_t *result)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result != NULL) {
        *result = now.tv_sec;
    }
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

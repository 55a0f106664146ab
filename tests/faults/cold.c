/* Who sends what is not in memory: preloaded into ingotd by tests/system/cold.sh.
 *
 * Each sendfile(2) of bytes that the kernel would have to read from the disk first is a line in the file $COLD_LOG.
 * With $COLD_BLIND the program is told of each byte that it looks at that it is in memory: as if it did not look. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096
#define MOST (256 << 10) /* bytes of one call that are looked at: more seldom go out at once */

ssize_t preadv2(int fd, const struct iovec *to, int count, off_t offset, int flags);
ssize_t preadv64v2(int fd, const struct iovec *to, int count, off_t offset, int flags);

static ssize_t look(int fd, const struct iovec *to, int count, off_t offset, int flags)
{
    return syscall(SYS_preadv2, fd, to, (long)count, (long)offset, 0L, (long)flags);
}

static int is_cold(int fd, off_t offset)
{
    char byte;
    struct iovec to = {&byte, 1};
    return look(fd, &to, 1, offset, RWF_NOWAIT) < 0 && errno == EAGAIN;
}

static void check(int fd, const off_t *offset, size_t count)
{
    const char *log = getenv("COLD_LOG");
    off_t from = offset == NULL ? lseek(fd, 0, SEEK_CUR) : *offset;
    for (size_t at = 0; log != NULL && at < count && at < MOST; at += PAGE) {
        if (is_cold(fd, from + (off_t)at)) {
            int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
            dprintf(out, "%ld\n", (long)(from + (off_t)at));
            close(out);
            return;
        }
    }
}

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    check(in, offset, count);
    return syscall(SYS_sendfile, out, in, offset, count);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t count)
{
    return sendfile(out, in, offset, count);
}

ssize_t preadv2(int fd, const struct iovec *to, int count, off_t offset, int flags)
{
    int probe = (flags & RWF_NOWAIT) != 0 && count == 1 && to->iov_len == 1;
    return getenv("COLD_BLIND") != NULL && probe ? 1 : look(fd, to, count, offset, flags);
}

ssize_t preadv64v2(int fd, const struct iovec *to, int count, off_t offset, int flags)
{
    return preadv2(fd, to, count, offset, flags);
}

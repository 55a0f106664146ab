#include "base/nameless.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <ingot/error.h>

int ingot_nameless_open(const char *folder, GError **error)
{
    int fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    g_autofree char *path = g_build_filename(folder, ".nameless.XXXXXX", NULL);
    fd = g_mkstemp_full(path, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        ingot_error_set_errno(error, errno, "%s: cannot make a file in it", folder);
    else
        unlink(path);
    return fd;
}

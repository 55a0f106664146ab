#include "machine/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <sys/socket.h>

guint16 ports_free(GError **error)
{
    g_auto(IngotFd) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        ingot_error_set_errno(error, errno, "looking for a free port of 127.0.0.1");
        return 0;
    }
    return ntohs(address.sin_port);
}

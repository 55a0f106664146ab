#include "machine/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ingot/error.h>
#include <sys/socket.h>

#include "base/file.h"

int ports_hold(guint16 *port, GError **error)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int yes = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        ingot_error_set_errno(error, errno, "looking for a free port of 127.0.0.1");
        ingot_fd_clear(&fd);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

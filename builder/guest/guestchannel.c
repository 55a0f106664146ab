/* Channels over a socket: one that a caller has connected, and the one behind a machine's virtio-serial port. */
#include "guest/guestchannel.h"

#include <errno.h>
#include <glib-unix.h>
#include <ingot/error.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/sockets.h"

typedef struct {
    GuestChannel channel;
    int fd;
    Machine *machine; /* of a port; NULL for any other socket */
} SocketChannel;

static gboolean socket_ended(GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the session in the machine has ended");
    return FALSE;
}

static gboolean socket_passing(int number)
{
    return number == EAGAIN || number == EINTR;
}

static gboolean socket_send(GuestChannel *channel, const void *data, gsize size, int milliseconds, gsize *sent,
                            GError **error)
{
    struct pollfd wait = {.fd = ((SocketChannel *)channel)->fd, .events = POLLOUT};
    *sent = 0;
    if (poll(&wait, 1, milliseconds) <= 0) {
        return TRUE;
    }
    ssize_t count = send(wait.fd, data, size, MSG_NOSIGNAL);
    if (count < 0 && !socket_passing(errno)) {
        return socket_ended(error);
    }
    *sent = count > 0 ? (gsize)count : 0;
    return TRUE;
}

static gboolean socket_receive(GuestChannel *channel, void *buffer, gsize size, int milliseconds, gsize *count,
                               GError **error)
{
    const SocketChannel *own = (SocketChannel *)channel;
    struct pollfd wait = {.fd = own->fd, .events = POLLIN};
    *count = 0;
    if (poll(&wait, 1, milliseconds) <= 0) {
        /* QEMU's end of the socket stays open when the shell in the guest ends. */
        return own->machine == NULL || milliseconds == 0 || machine_shell_open(own->machine) || socket_ended(error);
    }
    ssize_t got = recv(own->fd, buffer, size, 0);
    if (got == 0 || (got < 0 && !socket_passing(errno))) {
        return socket_ended(error);
    }
    *count = got > 0 ? (gsize)got : 0;
    return TRUE;
}

static void socket_close(GuestChannel *channel)
{
    SocketChannel *own = (SocketChannel *)channel;
    ingot_fd_clear(&own->fd);
    g_free(own);
}

static const GuestChannelKind socket_kind = {
    .survives = FALSE, .send = socket_send, .receive = socket_receive, .close = socket_close};
static const GuestChannelKind port_kind = {
    .survives = TRUE, .send = socket_send, .receive = socket_receive, .close = socket_close};

static GuestChannel *socket_new(const GuestChannelKind *kind, int fd, Machine *machine)
{
    SocketChannel *own = g_new0(SocketChannel, 1);
    own->channel.kind = kind;
    own->fd = fd;
    own->machine = machine;
    g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    return &own->channel;
}

GuestChannel *guest_channel_new_socket(int fd)
{
    return socket_new(&socket_kind, fd, NULL);
}

GuestChannel *guest_channel_new_port(Machine *machine, GError **error)
{
    struct sockaddr_un address;
    const char *path = machine_shell(machine);
    if (!sockets_address(path, &address, error)) {
        return NULL;
    }
    g_auto(IngotFd) fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    return socket_new(&port_kind, g_steal_fd(&fd), machine);
}

void guest_channel_close(GuestChannel *channel)
{
    if (channel != NULL) {
        channel->kind->close(channel);
    }
}

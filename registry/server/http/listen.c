#include "server/http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <systemd/sd-daemon.h>

#define BACKLOG 1024 /* connections that wait to be taken: many may come at once */
#define DEFAULT_PORT 5000

static GSocketAddress *parse_address(const char *text, GError **error)
{
    g_autoptr(GSocketConnectable) where = g_network_address_parse(text, DEFAULT_PORT, error);
    if (where == NULL) {
        g_prefix_error(error, "--listen %s: ADDRESS:PORT is expected: ", text);
        return NULL;
    }
    g_autoptr(GInetAddress) address =
        g_inet_address_new_from_string(g_network_address_get_hostname(G_NETWORK_ADDRESS(where)));
    if (address == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--listen %s: ADDRESS:PORT is expected, with an IP address", text);
        return NULL;
    }
    return g_inet_socket_address_new(address, g_network_address_get_port(G_NETWORK_ADDRESS(where)));
}

static GSocket *open_own(const char *listen_on, GError **error)
{
    g_autoptr(GSocketAddress) target = parse_address(listen_on, error);
    if (target == NULL) {
        return NULL;
    }
    g_autoptr(GSocket) socket =
        g_socket_new(g_socket_address_get_family(target), G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);
    if (socket == NULL || !g_socket_bind(socket, target, TRUE, error)) {
        g_prefix_error(error, "--listen %s: ", listen_on);
        return NULL;
    }
    g_socket_set_listen_backlog(socket, BACKLOG);
    return g_socket_listen(socket, error) ? g_steal_pointer(&socket) : NULL;
}

/* GSocket makes it non-blocking, as the threads need it that wait for the same connections. */
static GSocket *open_passed(int count, GError **error)
{
    if (count != 1 || sd_is_socket_inet(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM, 1, 0) <= 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "the service manager passed %d sockets; one is expected, that listens by TCP", count);
        return NULL;
    }
    return g_socket_new_from_fd(SD_LISTEN_FDS_START, error);
}

static gboolean describe(GSocket *socket, char **where, gboolean *loopback, GError **error)
{
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(socket, error);
    if (bound == NULL) {
        return FALSE;
    }
    *where = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(bound));
    *loopback = g_inet_address_get_is_loopback(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(bound)));
    return TRUE;
}

int listen_open(const char *listen_on, char **where, gboolean *loopback, GError **error)
{
    int count = sd_listen_fds(TRUE);
    if (count < 0) {
        ingot_error_set_errno(error, -count, "the sockets of the service manager");
        return -1;
    }
    g_autoptr(GSocket) socket = count > 0 ? open_passed(count, error) : open_own(listen_on, error);
    if (socket == NULL || !describe(socket, where, loopback, error)) {
        return -1;
    }
    int fd = fcntl(g_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        ingot_error_set_errno(error, errno, "--listen %s", listen_on);
    }
    return fd;
}

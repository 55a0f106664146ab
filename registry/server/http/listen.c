#include "server/http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define BACKLOG 1024 /* connections that wait to be taken: many may come at once */
#define DEFAULT_PORT 5000

static GSocketAddress *parse_address(const char *text, GError **error)
{
    g_autoptr(GSocketConnectable) where = g_network_address_parse(text, DEFAULT_PORT, error);
    if (where == NULL) {
        g_prefix_error(error, "ADDRESS:PORT is expected: ");
        return NULL;
    }
    g_autoptr(GInetAddress) address =
        g_inet_address_new_from_string(g_network_address_get_hostname(G_NETWORK_ADDRESS(where)));
    if (address == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "ADDRESS:PORT is expected, with an IP address, or unix:PATH");
        return NULL;
    }
    return g_inet_socket_address_new(address, g_network_address_get_port(G_NETWORK_ADDRESS(where)));
}

static void listener_clear(gpointer data)
{
    Listener *listener = data;
    if (listener->fd >= 0) {
        close(listener->fd);
    }
    g_free(listener->where);
}

GArray *listeners_new(void)
{
    GArray *listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
    g_array_set_clear_func(listeners, listener_clear);
    return listeners;
}

/* A socket that an ended server has left is nobody's: a running one answers. */
static gboolean clear_path(const char *path, GSocketAddress *target, GError **error)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
        return TRUE; /* bind(2) says what is wrong */
    }
    g_autoptr(GSocket) probe = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, error);
    if (probe == NULL) {
        return FALSE;
    }
    if (g_socket_connect(probe, target, NULL, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS, "another server listens there");
        return FALSE;
    }
    return unlink(path) == 0 || errno == ENOENT || ingot_error_set_errno(error, errno, "%s", path);
}

static GSocket *open_unix(const char *path, GError **error)
{
    g_autoptr(GSocketAddress) target = g_unix_socket_address_new(path);
    g_autoptr(GSocket) socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, error);
    if (socket == NULL || !clear_path(path, target, error) || !g_socket_bind(socket, target, FALSE, error)) {
        return NULL;
    }
    if (chmod(path, 0660) != 0) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    return g_steal_pointer(&socket);
}

static GSocket *open_tcp(GSocketAddress *target, GError **error)
{
    g_autoptr(GSocket) socket =
        g_socket_new(g_socket_address_get_family(target), G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, error);
    return socket != NULL && g_socket_bind(socket, target, TRUE, error) ? g_steal_pointer(&socket) : NULL;
}

static gboolean add(GSocket *socket, GArray *listeners, gboolean figures, GError **error)
{
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(socket, error);
    if (bound == NULL) {
        return FALSE;
    }
    Listener listener = {.network = G_IS_INET_SOCKET_ADDRESS(bound), .loopback = TRUE, .figures = figures};
    if (listener.network) {
        GInetAddress *address = g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(bound));
        listener.loopback = g_inet_address_get_is_loopback(address);
        listener.where = g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(bound));
    } else {
        listener.where = g_strdup(g_unix_socket_address_get_path(G_UNIX_SOCKET_ADDRESS(bound)));
    }
    listener.fd = fcntl(g_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
    if (listener.fd < 0) {
        ingot_error_set_errno(error, errno, "%s", listener.where);
        g_free(listener.where);
        return FALSE;
    }
    g_array_append_val(listeners, listener);
    return TRUE;
}

/* An address that can't be had now may be there later: that is no wrong option, which a service manager would not try
 * again. */
static gboolean open_one(const char *listen_on, GArray *listeners, gboolean figures, GError **error)
{
    g_autoptr(GError) problem = NULL;
    const char *option = figures ? "--listen-metrics" : "--listen";
    const char *path = g_str_has_prefix(listen_on, "unix:") ? listen_on + strlen("unix:") : NULL;
    g_autoptr(GSocketAddress) target = path != NULL ? NULL : parse_address(listen_on, &problem);
    if (problem != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s %s: %s", option, listen_on, problem->message);
        return FALSE;
    }
    g_autoptr(GSocket) socket = path != NULL ? open_unix(path, &problem) : open_tcp(target, &problem);
    if (socket != NULL) {
        g_socket_set_listen_backlog(socket, BACKLOG);
    }
    if (socket == NULL || !g_socket_listen(socket, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s %s: %s", option, listen_on, problem->message);
        return FALSE;
    }
    return add(socket, listeners, figures, error);
}

/* GSocket makes it non-blocking, as the threads need it that wait for the same connections. */
static gboolean add_passed(int count, GArray *listeners, GError **error)
{
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + count; fd++) {
        if (sd_is_socket_inet(fd, AF_UNSPEC, SOCK_STREAM, 1, 0) <= 0 &&
            sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "the service manager passed descriptor %d; one is expected that listens by TCP or as a Unix "
                        "socket",
                        fd);
            return FALSE;
        }
        g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, error);
        if (socket == NULL || !add(socket, listeners, FALSE, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean listen_open(const char *list, GArray *listeners, GError **error)
{
    int count = sd_listen_fds(TRUE);
    if (count < 0) {
        return ingot_error_set_errno(error, -count, "the sockets of the service manager");
    }
    if (count > 0) {
        return add_passed(count, listeners, error);
    }
    g_auto(GStrv) all = g_strsplit(list, ",", -1);
    for (guint i = 0; all[i] != NULL; i++) {
        if (!open_one(g_strstrip(all[i]), listeners, FALSE, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean listen_open_figures(const char *listen_on, GArray *listeners, GError **error)
{
    return open_one(listen_on, listeners, TRUE, error);
}

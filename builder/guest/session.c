#include "guest/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BANNER_MS 2000
#define RETRY_USEC (G_USEC_PER_SEC / 10)
#define RECEIVE_MS 500 /* how often machine and user are asked while the guest says nothing */

gboolean session_failed(const Guest *guest, const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", what, ssh_get_error(guest->session));
    return FALSE;
}

/* The forwarded port takes connections before anybody in the guest does: only the server's banner tells that it is
 * there. */
static gboolean server_answers(guint16 port)
{
    g_auto(IngotFd) fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return FALSE;
    }
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    char banner[4];
    return poll(&wait, 1, BANNER_MS) == 1 && recv(fd, banner, sizeof banner, 0) == sizeof banner &&
           memcmp(banner, "SSH-", sizeof banner) == 0;
}

static gboolean log_in(Guest *guest, const GuestKey *key, GError **error)
{
    guint port = machine_port(guest->machine, 22);
    long seconds = 60;
    int yes = 1;
    guest->session = ssh_new();
    ssh_options_set(guest->session, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(guest->session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(guest->session, SSH_OPTIONS_USER, "root");
    ssh_options_set(guest->session, SSH_OPTIONS_TIMEOUT, &seconds);
    ssh_options_set(guest->session, SSH_OPTIONS_NODELAY, &yes);
    /* Nothing of the user's own ssh configuration may play a part. */
    int no = 0;
    ssh_options_set(guest->session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    if (ssh_connect(guest->session) != SSH_OK) {
        return session_failed(guest, "ssh to the machine", error);
    }
    ssh_key private_key = NULL;
    gboolean ok = ssh_pki_import_privkey_file(key->private_path, NULL, NULL, NULL, &private_key) == SSH_OK &&
                  ssh_userauth_publickey(guest->session, NULL, private_key) == SSH_AUTH_SUCCESS;
    ssh_key_free(private_key);
    return ok || session_failed(guest, "ssh login as root", error);
}

static gboolean open_shell(Guest *guest, GError **error)
{
    /* A shell that reads its commands from stdin may read ahead and swallow the bytes that a command should get; its
     * `read` may not. So each command is one line. */
    static const char loop[] = "exec /bin/sh -c 'while IFS= read -r line; do eval \"$line\"; done'";
    guest->shell = ssh_channel_new(guest->session);
    if (guest->shell == NULL || ssh_channel_open_session(guest->shell) != SSH_OK ||
        ssh_channel_request_exec(guest->shell, loop) != SSH_OK) {
        return session_failed(guest, "a shell in the machine", error);
    }
    /* A folder that only root sees, in memory, so that nothing of it is in the image. */
    static const char prepare[] = "umask 022; mkdir -p -m 700 /run/ingot\n";
    return session_send(guest, guest->shell, prepare, strlen(prepare), error);
}

static void drop_connection(Guest *guest)
{
    if (guest->shell != NULL) {
        ssh_channel_free(guest->shell);
        guest->shell = NULL;
    }
    if (guest->session != NULL) {
        ssh_disconnect(guest->session);
        ssh_free(guest->session);
        guest->session = NULL;
    }
}

Guest *guest_connect(Machine *machine, const GuestKey *key, guint seconds, GError **error)
{
    g_autoptr(Guest) guest = g_new0(Guest, 1);
    guest->machine = machine;
    guest->input = g_string_new(NULL);
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    g_autoptr(GError) last = NULL;
    while (g_get_monotonic_time() < end) {
        if (!machine_alive(machine, error)) {
            return NULL;
        }
        if (!server_answers(machine_port(machine, 22))) {
            g_usleep(RETRY_USEC);
            continue;
        }
        /* A cloud image may start its server before its key is there: the next try may get in. */
        g_clear_error(&last);
        if (log_in(guest, key, &last) && open_shell(guest, &last)) {
            return g_steal_pointer(&guest);
        }
        drop_connection(guest);
        g_usleep(RETRY_USEC);
    }
    g_autofree char *tail = machine_console_tail(machine, 12);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                "no ssh login as root within %u s (%s); the console's last lines:\n%s", seconds,
                last == NULL ? "no ssh server answers" : last->message, tail);
    return NULL;
}

void guest_free(Guest *guest)
{
    if (guest != NULL) {
        drop_connection(guest);
        g_string_free(guest->input, TRUE);
        g_free(guest);
    }
}

/* Waits until the guest has taken some of what was sent. A guest that stands still is no reason to wait for ever. */
static gboolean wait_for_room(Guest *guest, ssh_channel channel, GError **error)
{
    gboolean pending = (ssh_get_poll_flags(guest->session) & SSH_WRITE_PENDING) != 0;
    struct pollfd wait = {.fd = ssh_get_fd(guest->session), .events = (short)(pending ? POLLIN | POLLOUT : POLLIN)};
    if (poll(&wait, 1, RECEIVE_MS) == 0 && !machine_alive(guest->machine, error)) {
        return FALSE;
    }
    /* Lets libssh take what has come and send what waits. */
    return ssh_channel_poll(channel, 0) >= 0 || session_failed(guest, "sending to the machine", error);
}

static gboolean send_all(Guest *guest, ssh_channel channel, const char *data, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        int sent = ssh_channel_write(channel, data + done, (guint32)MIN(size - done, 1u << 20));
        if (sent < 0) {
            return machine_alive(guest->machine, error) && session_failed(guest, "sending to the machine", error);
        }
        done += (gsize)sent;
        if (!ingot_interrupt_check(error) || (sent == 0 && !wait_for_room(guest, channel, error))) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean session_send(Guest *guest, ssh_channel channel, const void *data, gsize size, GError **error)
{
    ssh_set_blocking(guest->session, 0);
    gboolean ok = send_all(guest, channel, data, size, error);
    ssh_set_blocking(guest->session, 1);
    return ok;
}

gboolean session_receive(Guest *guest, gint64 until, GError **error)
{
    for (;;) {
        char buffer[65536];
        int count = ssh_channel_read_timeout(guest->shell, buffer, sizeof buffer, 0, RECEIVE_MS);
        if (count > 0) {
            g_string_append_len(guest->input, buffer, count);
            return TRUE;
        }
        if (!machine_alive(guest->machine, error)) {
            return FALSE;
        }
        if (count < 0 || ssh_channel_is_eof(guest->shell)) {
            return session_failed(guest, "the session in the machine has ended", error);
        }
        if (until != 0 && g_get_monotonic_time() > until) {
            return FALSE;
        }
    }
}

#include "guest/ssh.h"

#include <arpa/inet.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define BANNER_MS 2000
#define WAIT_MS 500 /* how often machine and user are asked while the guest takes nothing */

static gboolean failed(const Guest *guest, const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", what, ssh_get_error(guest->session));
    return FALSE;
}

/* The forwarded port takes connections before anybody in the guest does: only the server's banner tells that it is
 * there. */
gboolean ssh_server_answers(guint16 port)
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

gboolean ssh_log_in(Guest *guest, const GuestKey *key, GError **error)
{
    guint port = machine_port(guest->machine, 22);
    long seconds = 60;
    int yes = 1, no = 0;
    guest->session = ssh_new();
    ssh_options_set(guest->session, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(guest->session, SSH_OPTIONS_PORT, &port);
    ssh_options_set(guest->session, SSH_OPTIONS_USER, "root");
    ssh_options_set(guest->session, SSH_OPTIONS_TIMEOUT, &seconds);
    ssh_options_set(guest->session, SSH_OPTIONS_NODELAY, &yes);
    /* Nothing of the user's own ssh configuration may play a part. */
    ssh_options_set(guest->session, SSH_OPTIONS_PROCESS_CONFIG, &no);
    if (ssh_connect(guest->session) != SSH_OK) {
        return failed(guest, "ssh to the machine", error);
    }
    ssh_key private_key = NULL;
    gboolean ok = ssh_pki_import_privkey_file(key->private_path, NULL, NULL, NULL, &private_key) == SSH_OK &&
                  ssh_userauth_publickey(guest->session, NULL, private_key) == SSH_AUTH_SUCCESS;
    ssh_key_free(private_key);
    return ok || failed(guest, "ssh login as root", error);
}

ssh_channel ssh_command(Guest *guest, const char *command, GError **error)
{
    ssh_channel channel = ssh_channel_new(guest->session);
    if (channel != NULL && ssh_channel_open_session(channel) == SSH_OK &&
        ssh_channel_request_exec(channel, command) == SSH_OK) {
        return channel;
    }
    failed(guest, "a shell in the machine", error);
    ssh_channel_free(channel);
    return NULL;
}

void ssh_drop(Guest *guest)
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

/* Waits until the guest has taken some of what was sent. A guest that stands still is no reason to wait for ever. */
static gboolean wait_for_room(Guest *guest, GError **error)
{
    gboolean pending = (ssh_get_poll_flags(guest->session) & SSH_WRITE_PENDING) != 0;
    struct pollfd wait = {.fd = ssh_get_fd(guest->session), .events = (short)(pending ? POLLIN | POLLOUT : POLLIN)};
    if (poll(&wait, 1, WAIT_MS) == 0 && !machine_alive(guest->machine, error)) {
        return FALSE;
    }
    /* Lets libssh take what has come and send what waits. */
    return ssh_channel_poll(guest->shell, 0) >= 0 || failed(guest, "sending to the machine", error);
}

static gboolean send_all(Guest *guest, const char *data, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        int sent = ssh_channel_write(guest->shell, data + done, (guint32)MIN(size - done, 1u << 20));
        if (sent < 0) {
            return machine_alive(guest->machine, error) && failed(guest, "sending to the machine", error);
        }
        done += (gsize)sent;
        if (!ingot_interrupt_check(error) || (sent == 0 && !wait_for_room(guest, error))) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ssh_send(Guest *guest, const void *data, gsize size, GError **error)
{
    ssh_set_blocking(guest->session, 0);
    gboolean ok = send_all(guest, data, size, error);
    ssh_set_blocking(guest->session, 1);
    return ok;
}

gboolean ssh_receive(Guest *guest, void *buffer, guint size, int milliseconds, gsize *count, GError **error)
{
    int got = ssh_channel_read_timeout(guest->shell, buffer, size, 0, milliseconds);
    *count = got > 0 ? (gsize)got : 0;
    if (got < 0 || (got == 0 && ssh_channel_is_eof(guest->shell))) {
        return machine_alive(guest->machine, error) && failed(guest, "the session in the machine has ended", error);
    }
    return TRUE;
}

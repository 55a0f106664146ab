#include "guest/session.h"

#include <errno.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "guest/ssh.h"

#define RETRY_USEC (G_USEC_PER_SEC / 10)
#define RECEIVE_MS 500                  /* how often machine and user are asked while the guest says nothing */
#define PORT_USEC (10 * G_USEC_PER_SEC) /* for a guest that has the port to answer on it */

/* A shell that reads its commands from stdin may read ahead and swallow the bytes that a command should get; its `read`
 * may not. So each command is one line. */
#define LOOP "while IFS= read -r line; do eval \"$line\"; done"
/* The port's end is no end: it is what a guest sees when the host lets go of it. Ended by 3 where there is no port. */
#define PORT_LOOP                                                                                                      \
    "port=/dev/virtio-ports/" MACHINE_SHELL_PORT "; [ -c \"$port\" ] || exit 3; "                                      \
    "setsid sh -c 'while :; do " LOOP "; sleep 0.1; done' <>\"$port\" >&0 2>&1 &"
/* A folder that only root sees, in memory, so that nothing of it is in the image. And pages that the guest frees are to
 * be reported to QEMU in runs of any length (Linux reports 2 MiB alone if nothing is said): they are part of a saved
 * state else, 150 MB instead of 110 after an apt-get install. */
#define PREPARE                                                                                                        \
    "umask 022; mkdir -p -m 700 /run/ingot; "                                                                          \
    "echo 0 2>/dev/null >/sys/module/page_reporting/parameters/page_reporting_order\n"

/* --- the port --- */

static gboolean open_port(Guest *guest, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = machine_shell(guest->machine);
    if (strlen(path) >= sizeof address.sun_path) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: too long a path for a socket; a shorter $TMPDIR helps", path);
        return FALSE;
    }
    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    guest->port = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return (guest->port >= 0 && connect(guest->port, (struct sockaddr *)&address, sizeof address) == 0) ||
           ingot_error_set_errno(error, errno, "%s", path);
}

static gboolean port_ended(Guest *guest, GError **error)
{
    if (machine_alive(guest->machine, error)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the session in the machine has ended");
    }
    return FALSE;
}

static gboolean port_send(Guest *guest, const char *data, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        ssize_t sent = send(guest->port, data + done, size - done, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return port_ended(guest, error);
        }
        done += sent > 0 ? (gsize)sent : 0;
        struct pollfd wait = {.fd = guest->port, .events = POLLOUT};
        if (!ingot_interrupt_check(error) ||
            (sent < 0 && poll(&wait, 1, RECEIVE_MS) == 0 && !machine_alive(guest->machine, error))) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean port_receive(Guest *guest, void *buffer, guint size, int milliseconds, gsize *count, GError **error)
{
    struct pollfd wait = {.fd = guest->port, .events = POLLIN};
    *count = 0;
    if (poll(&wait, 1, milliseconds) <= 0) {
        return machine_shell_open(guest->machine) || port_ended(guest, error);
    }
    ssize_t got = recv(guest->port, buffer, size, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        return port_ended(guest, error);
    }
    *count = got > 0 ? (gsize)got : 0;
    return TRUE;
}

/* --- either --- */

gboolean session_send(Guest *guest, const void *data, gsize size, GError **error)
{
    return guest->port >= 0 ? port_send(guest, data, size, error) : ssh_send(guest, data, size, error);
}

gboolean session_receive(Guest *guest, gint64 until, GError **error)
{
    for (;;) {
        char buffer[65536];
        gsize count;
        if (!(guest->port >= 0 ? port_receive(guest, buffer, sizeof buffer, RECEIVE_MS, &count, error)
                               : ssh_receive(guest, buffer, sizeof buffer, RECEIVE_MS, &count, error))) {
            return FALSE;
        }
        if (count > 0) {
            g_string_append_len(guest->input, buffer, (gssize)count);
            return TRUE;
        }
        if (!machine_alive(guest->machine, error) || (until != 0 && g_get_monotonic_time() > until)) {
            return FALSE;
        }
    }
}

/* Whether a shell answers on the stream, with nothing before its answer. */
static gboolean shell_answers(Guest *guest, gint64 until)
{
    g_autofree char *word = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
    g_autofree char *line = g_strdup_printf("echo %s; " PREPARE, word);
    g_autofree char *answer = g_strconcat(word, "\n", NULL);
    gboolean ok = session_send(guest, line, strlen(line), NULL);
    while (ok && !g_str_has_suffix(guest->input->str, answer)) {
        ok = session_receive(guest, until, NULL);
    }
    g_string_truncate(guest->input, 0);
    return ok;
}

static void close_port(Guest *guest)
{
    ingot_fd_clear(&guest->port);
    guest->port = -1;
}

/* From the ssh session to a shell on the port, which is far quicker and survives a saved state. FALSE: this guest has
 * no such port. */
static gboolean move_to_port(Guest *guest)
{
    ssh_channel start = ssh_command(guest, PORT_LOOP, NULL);
    if (start == NULL) {
        return FALSE;
    }
    char nothing;
    while (ssh_channel_read(start, &nothing, 1, 0) > 0) {
    }
    gboolean started = ssh_channel_get_exit_status(start) == 0;
    ssh_channel_free(start);
    if (started && open_port(guest, NULL) && shell_answers(guest, g_get_monotonic_time() + PORT_USEC)) {
        ssh_drop(guest);
        return TRUE;
    }
    close_port(guest);
    return FALSE;
}

static gboolean enter(Guest *guest, const GuestKey *key, GError **error)
{
    if (!ssh_log_in(guest, key, error)) {
        return FALSE;
    }
    if (move_to_port(guest)) {
        return TRUE;
    }
    guest->shell = ssh_command(guest, "exec /bin/sh -c '" LOOP "'", error);
    return guest->shell != NULL && ssh_send(guest, PREPARE, strlen(PREPARE), error);
}

static Guest *guest_new(Machine *machine)
{
    Guest *guest = g_new0(Guest, 1);
    guest->machine = machine;
    guest->port = -1;
    guest->input = g_string_new(NULL);
    return guest;
}

Guest *guest_connect(Machine *machine, const GuestKey *key, guint seconds, GError **error)
{
    g_autoptr(Guest) guest = guest_new(machine);
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    g_autoptr(GError) last = NULL;
    while (g_get_monotonic_time() < end) {
        if (!machine_alive(machine, error)) {
            return NULL;
        }
        if (!ssh_server_answers(machine_port(machine, 22))) {
            g_usleep(RETRY_USEC);
            continue;
        }
        /* A cloud image may start its server before its key is there: the next try may get in. */
        g_clear_error(&last);
        if (enter(guest, key, &last)) {
            return g_steal_pointer(&guest);
        }
        ssh_drop(guest);
        g_usleep(RETRY_USEC);
    }
    g_autofree char *tail = machine_console_tail(machine, 12);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                "no ssh login as root within %u s (%s); the console's last lines:\n%s", seconds,
                last == NULL ? "no ssh server answers" : last->message, tail);
    return NULL;
}

Guest *guest_reconnect(Machine *machine, GError **error)
{
    g_autoptr(Guest) guest = guest_new(machine);
    return open_port(guest, error) ? g_steal_pointer(&guest) : NULL;
}

gboolean guest_survives(const Guest *guest)
{
    return guest->port >= 0;
}

void guest_free(Guest *guest)
{
    if (guest != NULL) {
        ssh_drop(guest);
        close_port(guest);
        g_string_free(guest->input, TRUE);
        g_free(guest);
    }
}

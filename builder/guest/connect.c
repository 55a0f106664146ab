/* Getting into a machine: by a shell that answers on its port, or by an ssh login that starts one there. */
#include "guest/connect.h"

#include <ingot/error.h>

#include "guest/linux.h"
#include "guest/ssh.h"

#define START_SECONDS 60u /* for a login to start a shell on the port */
#define RETRY_USEC (G_USEC_PER_SEC / 10)

/* The port, where a shell answers on it. NULL: none does. */
static Guest *connect_port(Machine *machine, GError **error)
{
    GuestChannel *channel = guest_channel_new_port(machine, error);
    g_autoptr(Guest) guest = channel == NULL ? NULL : guest_new(channel, machine);
    return guest != NULL && guest_answers(guest, error) ? g_steal_pointer(&guest) : NULL;
}

/* By ssh to the port, which is far quicker and survives a saved state; a guest that has no such port keeps the ssh
 * connection. */
static Guest *connect_ssh(Machine *machine, const GuestEntry *entry, GError **error)
{
    g_autoptr(SshLogin) login = ssh_log_in(machine_port(machine, 22), entry, error);
    int status = 0;
    if (login == NULL || !ssh_run(login, linux_start_script(), START_SECONDS, &status, error)) {
        return NULL;
    }
    if (status == LINUX_NOT_ROOT) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s is not root in the machine: `sudo: true` makes Ingot become root by sudo", entry->user);
        return NULL;
    }
    Guest *on_port = status == 0 ? connect_port(machine, NULL) : NULL;
    if (on_port != NULL) {
        return on_port;
    }
    GuestChannel *channel = guest_channel_new_ssh(g_steal_pointer(&login), linux_shell_command(), error);
    g_autoptr(Guest) guest = channel == NULL ? NULL : guest_new(channel, machine);
    return guest != NULL && guest_answers(guest, error) ? g_steal_pointer(&guest) : NULL;
}

static gboolean entry_has_ssh(const GuestEntry *entry)
{
    return entry->key != NULL || entry->password != NULL || entry->key_path != NULL;
}

Guest *guest_connect(Machine *machine, const GuestEntry *entry, guint seconds, GError **error)
{
    gint64 end = session_until(seconds);
    g_autoptr(GError) last = NULL;
    gboolean told = FALSE; /* the password */
    while (g_get_monotonic_time() < end) {
        if (!machine_alive(machine, error)) {
            return NULL;
        }
        Guest *guest = NULL;
        if (machine_shell_open(machine)) {
            g_clear_error(&last);
            guest = connect_port(machine, &last);
        }
        if (guest == NULL && entry_has_ssh(entry) && ssh_server_answers(machine_port(machine, 22))) {
            /* A cloud image may start its server before its key is there: the next try may get in. */
            g_clear_error(&last);
            told = entry->password != NULL;
            guest = connect_ssh(machine, entry, &last);
        }
        if (guest != NULL) {
            guest->saw_password = told;
            return guest;
        }
        if (g_error_matches(last, INGOT_ERROR, INGOT_ERROR_INVALID)) {
            g_propagate_error(error, g_steal_pointer(&last));
            return NULL;
        }
        g_usleep(RETRY_USEC);
    }
    g_autofree char *tail = machine_console_tail(machine, 12);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                "no way into the machine within %u s, neither by a shell on its port nor by ssh as %s (%s); the "
                "console's last lines:\n%s",
                seconds, entry->user == NULL ? "root" : entry->user,
                last == NULL ? "no ssh server answers" : last->message, tail);
    return NULL;
}

Guest *guest_reconnect(Machine *machine, GError **error)
{
    GuestChannel *channel = guest_channel_new_port(machine, error);
    g_autoptr(Guest) guest = channel == NULL ? NULL : guest_new(channel, machine);
    return guest != NULL && guest_prepare(guest, error) ? g_steal_pointer(&guest) : NULL;
}

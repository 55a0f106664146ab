/* How a machine is: running, or what has become of it in words that say what to do. */
#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "machine/inside.h"

#define POLL_USEC (G_USEC_PER_SEC / 20)
#define LOOK_USEC G_USEC_PER_SEC             /* between two looks at a machine that is waited for */
#define ENDING_USEC (5 * G_TIME_SPAN_SECOND) /* between the end of QEMU's socket and that of its process */
#define TAIL_LINES 12

gboolean machine_running(Machine *machine)
{
    return g_subprocess_get_identifier(machine->qemu) != NULL;
}

char *machine_console_tail(Machine *machine, guint lines)
{
    return console_tail(machine->console, !machine_running(machine), lines);
}

static gboolean fail_with_tail(Machine *machine, GError **error, const char *what)
{
    g_autofree char *tail = machine_console_tail(machine, TAIL_LINES);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s; the console's last lines:\n%s", what, tail);
    return FALSE;
}

/* QEMU's process is not there any more, and nobody has asked for that. */
static gboolean fail_ended(Machine *machine, GError **error)
{
    g_autofree char *log = NULL;
    g_file_get_contents(machine->log, &log, NULL, NULL);
    g_autofree char *reason = ingot_text_clean(log == NULL ? "" : log, log == NULL ? 0 : strlen(log));
    g_strchomp(reason);
    g_autofree char *status = g_subprocess_get_if_signaled(machine->qemu)
                                  ? g_strdup_printf(" (signal %d: %s)", g_subprocess_get_term_sig(machine->qemu),
                                                    g_strsignal(g_subprocess_get_term_sig(machine->qemu)))
                                  : g_strdup("");
    g_autofree char *what = g_strdup_printf("the machine has ended%s%s%s", status, *reason == '\0' ? "" : ": ", reason);
    return fail_with_tail(machine, error, what);
}

/* QEMU stops a machine whose disk it cannot read or write. */
static gboolean fail_disk(Machine *machine, GError **error)
{
    g_autoptr(json_t) devices = qmp_command(machine->qmp, "query-block", NULL, NULL);
    gboolean full = FALSE;
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const char *status = json_string_value(json_object_get(json_array_get(devices, i), "io-status"));
        full |= g_strcmp0(status, "nospace") == 0;
    }
    g_set_error(error, INGOT_ERROR, full ? INGOT_ERROR_NO_SPACE : INGOT_ERROR_FAILED,
                full ? "No space left on device: %s cannot take what the machine writes to its disk"
                     : "%s: the host cannot read or write the machine's disk (its kernel's log may say why)",
                machine->folder);
    return FALSE;
}

static const char halted[] = "the machine has halted, as by `halt` or `shutdown -H`: it has no power-off, and stands "
                             "still for ever";

/* What QEMU's word for the machine's state means. */
static gboolean judge(Machine *machine, const char *status, GError **error)
{
    static const struct {
        const char *status, *meaning;
    } bad[] = {
        {"internal-error", "QEMU has stopped the machine: the processor met something that the accelerator cannot "
                           "run (--accel tcg may)"},
        {"guest-panicked", "the machine's kernel has panicked"},
        {"suspended", "the machine has suspended itself and nothing wakes it"},
        {"watchdog", "the machine's watchdog has stopped it"},
        {"shutdown", "the machine has shut down"},
    };
    if (machine->stopped) {
        return TRUE;
    }
    if (g_strcmp0(status, "running") == 0) {
        return !machine_look_halted(machine) || fail_with_tail(machine, error, halted);
    }
    if (g_strcmp0(status, "io-error") == 0) {
        return fail_disk(machine, error);
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        if (g_strcmp0(status, bad[i].status) == 0) {
            return fail_with_tail(machine, error, bad[i].meaning);
        }
    }
    g_autofree char *what = g_strdup_printf("the machine stands still (QEMU calls it '%s')", status);
    return fail_with_tail(machine, error, what);
}

/* After the end of QEMU's socket: waits for that of its process, which has a reason. */
static gboolean fail_closed(Machine *machine, GError **error)
{
    gint64 end = g_get_monotonic_time() + ENDING_USEC;
    while (machine_running(machine) && g_get_monotonic_time() < end) {
        g_usleep(POLL_USEC / 10);
    }
    if (machine_running(machine)) {
        return fail_with_tail(machine, error, "QEMU closed its control socket");
    }
    return fail_ended(machine, error);
}

gboolean machine_alive(Machine *machine, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (!machine_running(machine)) {
        return fail_ended(machine, error);
    }
    if (machine->qmp == NULL) {
        return TRUE;
    }
    g_autoptr(json_t) answer = machine_qmp(machine, "query-status", NULL, error);
    const char *status = json_string_value(json_object_get(answer, "status"));
    return answer != NULL && judge(machine, status == NULL ? "unknown" : status, error);
}

/* --- QMP --- */

json_t *machine_qmp_fd(Machine *machine, const char *command, json_t *arguments, int fd, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_t *answer = qmp_command_fd(machine->qmp, command, arguments, fd, &problem);
    if (answer == NULL && qmp_closed(machine->qmp)) {
        fail_closed(machine, error);
    } else if (answer == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return answer;
}

json_t *machine_qmp(Machine *machine, const char *command, json_t *arguments, GError **error)
{
    return machine_qmp_fd(machine, command, arguments, -1, error);
}

json_t *machine_event(Machine *machine, const char *name, GError **error)
{
    g_autoptr(GError) problem = NULL;
    json_t *event = qmp_event(machine->qmp, name, &problem);
    if (event == NULL && qmp_closed(machine->qmp)) {
        fail_closed(machine, error);
    } else if (event == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return event;
}

/* --- its end --- */

/* Ended by the guest or by us; a QEMU that crashed may not have written all. */
static gboolean check_end(Machine *machine, GError **error)
{
    return (g_subprocess_get_if_exited(machine->qemu) && g_subprocess_get_exit_status(machine->qemu) == 0) ||
           fail_ended(machine, error);
}

/* A machine that is about to end may close its socket, or stand in "shutdown", before its process has ended. */
static gboolean is_ending(Machine *machine)
{
    g_autoptr(json_t) answer = qmp_command(machine->qmp, "query-status", NULL, NULL);
    const char *status = json_string_value(json_object_get(answer, "status"));
    return answer == NULL ? qmp_closed(machine->qmp) : g_strcmp0(status, "shutdown") == 0;
}

gboolean machine_wait(Machine *machine, guint seconds, gboolean *ended, GError **error)
{
    gint64 now = g_get_monotonic_time(), end = now + (gint64)seconds * G_USEC_PER_SEC, look = now + LOOK_USEC;
    *ended = FALSE;
    while (machine_running(machine)) {
        now = g_get_monotonic_time();
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (seconds > 0 && now > end) {
            return TRUE;
        }
        if (now > look) {
            look = now + LOOK_USEC;
            if (!is_ending(machine) && machine_running(machine) && !machine_alive(machine, error)) {
                return FALSE;
            }
        }
        g_usleep(POLL_USEC);
    }
    *ended = TRUE;
    return check_end(machine, error);
}

gboolean machine_press_power(Machine *machine, GError **error)
{
    g_autoptr(json_t) answer = machine_qmp(machine, "system_powerdown", NULL, error);
    return answer != NULL;
}

gboolean machine_quit(Machine *machine, GError **error)
{
    gboolean ended;
    g_autoptr(json_t) answer = machine_qmp(machine, "quit", NULL, error);
    return answer != NULL && machine_wait(machine, 0, &ended, error);
}

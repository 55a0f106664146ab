#include "machine/machine.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/board.h"
#include "machine/overlay.h"
#include "machine/ports.h"
#include "machine/qmp.h"

#define POLL_USEC (G_USEC_PER_SEC / 20)
#define TAIL_MAX (64u << 10) /* bytes of the console that are looked at */

struct Machine {
    char *folder, *console, *log, *socket, *shell;
    GSubprocess *qemu;
    Qmp *qmp;
    GArray *forwards; /* of BoardForward */
    GPtrArray *tops;  /* of each disk, in order: the node of QEMU's block graph that is written to */
    guint layers;     /* that it has been given while it ran */
};

void machine_free(Machine *machine)
{
    if (machine == NULL) {
        return;
    }
    g_clear_pointer(&machine->qmp, qmp_free);
    if (machine->qemu != NULL) {
        g_subprocess_force_exit(machine->qemu);
        g_subprocess_wait(machine->qemu, NULL, NULL);
        g_object_unref(machine->qemu);
    }
    g_free(machine->folder);
    g_free(machine->console);
    g_free(machine->log);
    g_free(machine->socket);
    g_free(machine->shell);
    g_array_unref(machine->forwards);
    g_ptr_array_unref(machine->tops);
    g_free(machine);
}

static gboolean qemu_alive(gpointer user, GError **error)
{
    return machine_alive(user, error);
}

static gboolean forward(Machine *machine, guint16 guest, GError **error)
{
    BoardForward one = {.guest = guest, .host = ports_free(error)};
    g_array_append_val(machine->forwards, one);
    return one.host != 0;
}

static gboolean forward_all(Machine *machine, const guint16 *ports, GError **error)
{
    if (!forward(machine, 22, error)) {
        return FALSE;
    }
    for (guint i = 0; ports != NULL && ports[i] != 0; i++) {
        if (machine_port(machine, ports[i]) == 0 && !forward(machine, ports[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The files that QEMU opens: a snapshot is an overlay that goes with the folder, and the seed comes last. Their paths
 * lie in `paths`. */
static gboolean resolve_drives(Machine *machine, const MachineOptions *options, GArray *drives, GPtrArray *paths,
                               GError **error)
{
    for (guint i = 0; i < options->drive_count; i++) {
        MachineDrive drive = options->drives[i];
        if (drive.role == DRIVE_DISK && drive.snapshot) {
            g_autofree char *name = g_strdup_printf("throw-away-%u.qcow2", i);
            char *path = g_build_filename(machine->folder, name, NULL);
            g_ptr_array_add(paths, path);
            if (!overlay_create(path, drive.path, drive.format, 0, error)) {
                return FALSE;
            }
            drive.path = path;
            drive.format = "qcow2";
        }
        if (drive.role == DRIVE_DISK) {
            g_ptr_array_add(machine->tops, drive_node(i));
        }
        g_array_append_val(drives, drive);
    }
    if (options->public_key != NULL) {
        MachineDrive seed = {
            .path = g_build_filename(machine->folder, BOARD_SEED, NULL), .format = "raw", .role = DRIVE_SEED};
        g_ptr_array_add(paths, (gpointer)seed.path);
        g_array_append_val(drives, seed);
    }
    return TRUE;
}

static gboolean launch(Machine *machine, const MachineOptions *options, GError **error)
{
    g_autoptr(GArray) drives = g_array_new(FALSE, FALSE, sizeof(MachineDrive));
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    if (!resolve_drives(machine, options, drives, paths, error) || !forward_all(machine, options->ports, error)) {
        return FALSE;
    }
    BoardPlaces places = {.console = machine->console,
                          .qmp = machine->socket,
                          .shell = machine->shell,
                          .drives = drives,
                          .forwards = machine->forwards};
    g_autoptr(GPtrArray) argv = board_arguments(options, &places, error);
    g_auto(IngotFd) log = argv == NULL ? -1 : ingot_file_open(machine->log, O_WRONLY | O_CREAT | O_TRUNC, 0600, error);
    if (log < 0) {
        return FALSE;
    }
    machine->qemu = ingot_process_start((const char *const *)argv->pdata, log, error);
    machine->qmp = machine->qemu == NULL ? NULL : qmp_connect(machine->socket, qemu_alive, machine, error);
    return machine->qmp != NULL;
}

Machine *machine_start(const MachineOptions *options, GError **error)
{
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    machine->folder = g_strdup(options->folder);
    machine->console = g_build_filename(options->folder, "console.log", NULL);
    machine->log = g_build_filename(options->folder, "qemu.log", NULL);
    machine->socket = g_build_filename(options->folder, "qmp", NULL);
    machine->shell = g_build_filename(options->folder, "shell", NULL);
    machine->forwards = g_array_new(FALSE, FALSE, sizeof(BoardForward));
    machine->tops = g_ptr_array_new_with_free_func(g_free);
    return launch(machine, options, error) ? g_steal_pointer(&machine) : NULL;
}

/* --- while it runs --- */

guint16 machine_port(const Machine *machine, guint16 guest_port)
{
    for (guint i = 0; i < machine->forwards->len; i++) {
        const BoardForward *one = &g_array_index(machine->forwards, BoardForward, i);
        if (one->guest == guest_port) {
            return one->host;
        }
    }
    return 0;
}

const char *machine_shell(const Machine *machine)
{
    return machine->shell;
}

gboolean machine_shell_open(Machine *machine)
{
    g_autoptr(json_t) devices = qmp_command(machine->qmp, "query-chardev", NULL, NULL);
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *one = json_array_get(devices, i);
        if (g_strcmp0(json_string_value(json_object_get(one, "label")), BOARD_SHELL) == 0) {
            return json_is_true(json_object_get(one, "frontend-open"));
        }
    }
    return FALSE;
}

const char *machine_console(const Machine *machine)
{
    return machine->console;
}

char *machine_console_tail(const Machine *machine, guint lines)
{
    g_autofree char *text = NULL;
    gsize size;
    if (!g_file_get_contents(machine->console, &text, &size, NULL)) {
        return g_strdup("");
    }
    char *tail = text + (size > TAIL_MAX ? size - TAIL_MAX : 0);
    g_autofree char *valid = g_utf8_make_valid(tail, -1);
    g_auto(GStrv) all = g_strsplit(g_strchomp(valid), "\n", -1);
    guint count = g_strv_length(all);
    return g_strjoinv("\n", all + (count > lines ? count - lines : 0));
}

static gboolean running(Machine *machine)
{
    return g_subprocess_get_identifier(machine->qemu) != NULL;
}

/* QEMU stops a machine whose disk's file cannot grow. */
static gboolean stands_still(Machine *machine)
{
    g_autoptr(json_t) answer =
        machine->qmp == NULL || !running(machine) ? NULL : qmp_command(machine->qmp, "query-status", NULL, NULL);
    return g_strcmp0(json_string_value(json_object_get(answer, "status")), "io-error") == 0;
}

gboolean machine_alive(Machine *machine, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (stands_still(machine)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE,
                    "No space left on device: %s cannot take what the machine writes to its disk", machine->folder);
        return FALSE;
    }
    if (running(machine)) {
        return TRUE;
    }
    g_autofree char *log = NULL;
    g_file_get_contents(machine->log, &log, NULL, NULL);
    g_autofree char *tail = machine_console_tail(machine, 12);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the machine has ended: %s\n%s",
                log == NULL || *log == '\0' ? "QEMU gives no reason; the console's last lines:" : g_strchomp(log),
                tail);
    return FALSE;
}

GPtrArray *machine_tops(Machine *machine)
{
    return machine->tops;
}

guint machine_next_layer(Machine *machine)
{
    return ++machine->layers;
}

json_t *machine_qmp_fd(Machine *machine, const char *command, json_t *arguments, int fd, GError **error)
{
    return qmp_command_fd(machine->qmp, command, arguments, fd, error);
}

json_t *machine_event(Machine *machine, const char *name, GError **error)
{
    return qmp_event(machine->qmp, name, error);
}

json_t *machine_qmp(Machine *machine, const char *command, json_t *arguments, GError **error)
{
    return qmp_command(machine->qmp, command, arguments, error);
}

gboolean machine_wait(Machine *machine, GError **error)
{
    while (running(machine)) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        g_usleep(POLL_USEC);
    }
    return TRUE;
}

gboolean machine_shutdown(Machine *machine, guint seconds, GError **error)
{
    g_autoptr(json_t) answer = machine_qmp(machine, "system_powerdown", NULL, error);
    if (answer == NULL) {
        return FALSE;
    }
    gint64 end = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;
    while (running(machine)) {
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (g_get_monotonic_time() > end) {
            g_autofree char *tail = machine_console_tail(machine, 12);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                        "the machine did not shut down within %u s; the console's last lines:\n%s", seconds, tail);
            return FALSE;
        }
        g_usleep(POLL_USEC);
    }
    return TRUE;
}

gboolean machine_quit(Machine *machine, GError **error)
{
    g_autoptr(json_t) answer = machine_qmp(machine, "quit", NULL, error);
    return answer != NULL && machine_wait(machine, error);
}

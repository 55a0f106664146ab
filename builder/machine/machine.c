#include "machine/machine.h"

#include <fcntl.h>
#include <ingot/error.h>

#include "base/file.h"
#include "base/process.h"
#include "base/sockets.h"
#include "machine/board.h"
#include "machine/inside.h"
#include "machine/overlay.h"
#include "machine/ports.h"

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
    console_free(machine->console);
    ingot_fd_clear(&machine->sockets_fd);
    g_free(machine->sockets);
    g_free(machine->folder);
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

/* held: of the sockets that keep the ports free for QEMU. */
static gboolean forward(Machine *machine, guint16 guest, GArray *held, GError **error)
{
    BoardForward one = {.guest = guest};
    int fd = ports_hold(&one.host, error);
    if (fd < 0) {
        return FALSE;
    }
    g_array_append_val(held, fd);
    g_array_append_val(machine->forwards, one);
    return TRUE;
}

static gboolean forward_all(Machine *machine, const guint16 *ports, GArray *held, GError **error)
{
    if (!forward(machine, 22, held, error)) {
        return FALSE;
    }
    for (guint i = 0; ports != NULL && ports[i] != 0; i++) {
        if (machine_port(machine, ports[i]) == 0 && !forward(machine, ports[i], held, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static void close_held(gpointer data)
{
    ingot_fd_clear(data);
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
    g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(int));
    g_array_set_clear_func(held, close_held);
    if (!resolve_drives(machine, options, drives, paths, error) || !forward_all(machine, options->ports, held, error)) {
        return FALSE;
    }
    BoardPlaces places = {.console = console_socket(machine->console),
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

/* QMP carries UTF-8 alone. */
static gboolean check_folder(const Machine *machine, GError **error)
{
    if (!g_utf8_validate(machine->folder, -1, NULL)) {
        g_autofree char *shown = g_utf8_make_valid(machine->folder, -1);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: QEMU cannot use a path that is not UTF-8: set TMPDIR to another folder", shown);
        return FALSE;
    }
    return TRUE;
}

Machine *machine_start(const MachineOptions *options, GError **error)
{
    g_autoptr(Machine) machine = g_new0(Machine, 1);
    machine->sockets_fd = -1;
    machine->folder = g_strdup(options->folder);
    machine->log = g_build_filename(options->folder, "qemu.log", NULL);
    machine->forwards = g_array_new(FALSE, FALSE, sizeof(BoardForward));
    machine->tops = g_ptr_array_new_with_free_func(g_free);
    machine->stopped = options->incoming;
    machine->sockets = sockets_folder(machine->folder, &machine->sockets_fd, error);
    if (machine->sockets == NULL || !check_folder(machine, error)) {
        return NULL;
    }
    machine->socket = g_build_filename(machine->sockets, "qmp", NULL);
    machine->shell = g_build_filename(machine->sockets, "shell", NULL);
    machine->console = console_new(machine->folder, machine->sockets, error);
    return machine->console != NULL && launch(machine, options, error) ? g_steal_pointer(&machine) : NULL;
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
    g_autoptr(json_t) devices = machine_qmp(machine, "query-chardev", NULL, NULL);
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
    return console_log(machine->console);
}

#include "machine/machine.h"

#include <fcntl.h>
#include <ingot/blocks.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <string.h>
#include <sys/stat.h>

#include "machine/entry.h"
#include "machine/firmware.h"
#include "machine/ports.h"
#include "machine/qmp.h"

#define POLL_USEC (G_USEC_PER_SEC / 20)
#define TAIL_MAX (64 * 1024) /* bytes of the console that are looked at */

typedef struct {
    guint16 guest, host;
} Forward;

struct Machine {
    char *folder, *console, *log, *socket;
    GSubprocess *qemu;
    Qmp *qmp;
    GArray *forwards; /* of Forward */
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
    g_array_unref(machine->forwards);
    g_free(machine);
}

/* --- QEMU's command line --- */

G_GNUC_PRINTF(2, 3) static void add(GPtrArray *argv, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    g_ptr_array_add(argv, g_strdup_vprintf(format, list));
    va_end(list);
}

G_GNUC_PRINTF(3, 4) static void option(GPtrArray *argv, const char *name, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    g_ptr_array_add(argv, g_strdup(name));
    g_ptr_array_add(argv, g_strdup_vprintf(format, list));
    va_end(list);
}

/* A comma ends a value in QEMU's options, two stand for one. Free it. */
static char *escape(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, ",", -1);
    return g_strjoinv(",,", parts);
}

static gboolean add_drives(GPtrArray *argv, const MachineOptions *options, GError **error)
{
    const char *format = ingot_blocks_probe(options->disk, error);
    if (format == NULL) {
        return FALSE;
    }
    g_autofree char *disk = escape(options->disk);
    option(argv, "-drive", "file=%s,format=%s,if=virtio,cache=unsafe%s%s", disk, format,
           options->discard ? ",discard=unmap,detect-zeroes=unmap" : "", options->snapshot ? ",snapshot=on" : "");
    if (options->seed_disk != NULL) {
        g_autofree char *seed = escape(options->seed_disk);
        option(argv, "-drive", "file=%s,if=virtio,readonly=on", seed);
    }
    return TRUE;
}

static gboolean add_entry(GPtrArray *argv, const MachineOptions *options, GError **error)
{
    if (options->public_key == NULL) {
        return TRUE;
    }
    g_autofree char *credential = entry_credential(options->public_key);
    g_autofree char *seed = g_build_filename(options->folder, "seed.iso", NULL);
    g_autofree char *escaped = escape(seed);
    option(argv, "-smbios", "type=11,value=%s", credential);
    option(argv, "-drive", "file=%s,format=raw,if=virtio,readonly=on", escaped);
    return entry_write_seed(seed, options->public_key, options->hostname == NULL ? "ingot" : options->hostname, error);
}

static gboolean add_firmware(GPtrArray *argv, const MachineOptions *options, GError **error)
{
    if (!options->uefi) {
        return TRUE;
    }
    const char *code;
    g_autofree char *variables = g_build_filename(options->folder, "uefi-variables.fd", NULL);
    g_autofree char *escaped = escape(variables);
    if (!firmware_prepare(variables, &code, error)) {
        return FALSE;
    }
    option(argv, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=%s", code);
    option(argv, "-drive", "if=pflash,format=raw,unit=1,file=%s", escaped);
    return TRUE;
}

static gboolean forward(Machine *machine, GString *netdev, guint16 guest, GError **error)
{
    Forward one = {.guest = guest, .host = ports_free(error)};
    if (one.host == 0) {
        return FALSE;
    }
    g_array_append_val(machine->forwards, one);
    g_string_append_printf(netdev, ",hostfwd=tcp:127.0.0.1:%u-:%u", one.host, guest);
    return TRUE;
}

static gboolean add_network(Machine *machine, GPtrArray *argv, const MachineOptions *options, GError **error)
{
    g_autoptr(GString) netdev = g_string_new("user,id=net0");
    if (!forward(machine, netdev, 22, error)) {
        return FALSE;
    }
    for (guint i = 0; options->ports != NULL && options->ports[i] != 0; i++) {
        if (machine_port(machine, options->ports[i]) == 0 && !forward(machine, netdev, options->ports[i], error)) {
            return FALSE;
        }
    }
    option(argv, "-netdev", "%s", netdev->str);
    option(argv, "-device", "virtio-net-pci,netdev=net0,romfile=");
    return TRUE;
}

static void add_board(const Machine *machine, GPtrArray *argv, const MachineOptions *options)
{
    g_autofree char *console = escape(machine->console), *socket = escape(machine->socket);
    gboolean kvm = options->accel == MACHINE_KVM;
    add(argv, "qemu-system-x86_64");
    option(argv, "-machine", "q35,smm=off");
    option(argv, "-accel", "%s", kvm ? "kvm" : "tcg,thread=multi");
    option(argv, "-cpu", "%s", kvm ? "host" : "max");
    option(argv, "-smp", "%u", options->cpus);
    option(argv, "-m", "%" G_GUINT64_FORMAT "M", options->memory >> 20);
    add(argv, "-nodefaults");
    add(argv, "-no-user-config");
    option(argv, "-display", "none");
    option(argv, "-device", "virtio-rng-pci");
    option(argv, "-device", "vmgenid,guid=auto");
    option(argv, "-chardev", "file,id=console,path=%s", console);
    option(argv, "-serial", "chardev:console");
    option(argv, "-qmp", "unix:%s,server=on,wait=off", socket);
}

static gboolean qemu_alive(gpointer user, GError **error)
{
    return machine_alive(user, error);
}

static gboolean launch(Machine *machine, const MachineOptions *options, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    add_board(machine, argv, options);
    if (!add_firmware(argv, options, error) || !add_drives(argv, options, error) || !add_entry(argv, options, error) ||
        !add_network(machine, argv, options, error)) {
        return FALSE;
    }
    g_ptr_array_add(argv, NULL);
    g_auto(IngotFd) log = ingot_file_open(machine->log, O_WRONLY | O_CREAT | O_TRUNC, 0600, error);
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
    machine->forwards = g_array_new(FALSE, FALSE, sizeof(Forward));
    return launch(machine, options, error) ? g_steal_pointer(&machine) : NULL;
}

/* --- while it runs --- */

guint16 machine_port(const Machine *machine, guint16 guest_port)
{
    for (guint i = 0; i < machine->forwards->len; i++) {
        const Forward *one = &g_array_index(machine->forwards, Forward, i);
        if (one->guest == guest_port) {
            return one->host;
        }
    }
    return 0;
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

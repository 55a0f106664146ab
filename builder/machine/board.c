#include "machine/board.h"

#include <string.h>

#include "machine/entry.h"
#include "machine/firmware.h"
#include "machine/target.h"

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

static gboolean add_entry(GPtrArray *argv, const MachineOptions *options, GError **error)
{
    if (options->public_key == NULL) {
        return TRUE;
    }
    g_autofree char *credential = entry_credential(options->public_key);
    option(argv, "-smbios", "type=11,value=%s", credential);
    g_autofree char *seed = g_build_filename(options->folder, BOARD_SEED, NULL);
    return entry_write_seed(seed, options->public_key, options->hostname == NULL ? ENTRY_BUILD : options->hostname,
                            error);
}

static gboolean add_firmware(GPtrArray *argv, const MachineOptions *options, const MachineTarget *target,
                             GError **error)
{
    if (target->pc && !options->uefi) {
        return TRUE;
    }
    const char *code;
    g_autofree char *variables = g_build_filename(options->folder, MACHINE_VARIABLES, NULL);
    g_autofree char *escaped = drive_escape(variables);
    /* A machine that goes on brings its own. */
    if (!firmware_prepare(target->architecture, options->incoming ? NULL : variables, &code, error)) {
        return FALSE;
    }
    option(argv, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file=%s", code);
    option(argv, "-drive", "if=pflash,format=raw,unit=1,file=%s", escaped);
    return TRUE;
}

static void add_network(GPtrArray *argv, const GArray *forwards)
{
    g_autoptr(GString) netdev = g_string_new("user,id=net0");
    for (guint i = 0; i < forwards->len; i++) {
        const BoardForward *one = &g_array_index(forwards, BoardForward, i);
        g_string_append_printf(netdev, ",hostfwd=tcp:127.0.0.1:%u-:%u", one->host, one->guest);
    }
    option(argv, "-netdev", "%s", netdev->str);
    option(argv, "-device", "virtio-net-pci,netdev=net0,romfile=");
}

static void add_channels(GPtrArray *argv, const BoardPlaces *places)
{
    g_autofree char *console = drive_escape(places->console), *qmp = drive_escape(places->qmp),
                    *shell = drive_escape(places->shell);
    option(argv, "-chardev", "socket,id=console,path=%s,server=off", console);
    option(argv, "-serial", "chardev:console");
    option(argv, "-qmp", "unix:%s,server=on,wait=off", qmp);
    option(argv, "-chardev", "socket,id=" BOARD_SHELL ",path=%s,server=on,wait=off", shell);
    option(argv, "-device", "virtio-serial-pci");
    option(argv, "-device", "virtserialport,chardev=" BOARD_SHELL ",name=" MACHINE_SHELL_PORT);
}

static void add_board(GPtrArray *argv, const MachineOptions *options, const MachineTarget *target)
{
    gboolean kvm = options->accel == MACHINE_KVM;
    add(argv, "%s", target->qemu);
    option(argv, "-machine", "%s", target->board);
    option(argv, "-accel", "%s", kvm ? "kvm" : "tcg,thread=multi");
    option(argv, "-cpu", "%s", kvm ? "host" : target->emulated);
    option(argv, "-smp", "%u", options->cpus);
    option(argv, "-m", "%" G_GUINT64_FORMAT "M", options->memory >> 20);
    add(argv, "-nodefaults");
    add(argv, "-no-user-config");
    option(argv, "-display", "none");
    option(argv, "-device", "virtio-rng-pci");
    if (target->pc) {
        option(argv, "-device", "vmgenid,guid=auto");
    }
    /* What the guest has freed is given back: it is not part of a saved state then. */
    option(argv, "-device", "virtio-balloon-pci,free-page-reporting=on");
    /* A kernel that panics says so: the machine stops and is not waited for in vain. */
    option(argv, "-device", "%s", target->pc ? "pvpanic" : "pvpanic-pci");
    option(argv, "-action", "panic=pause%s", options->ends ? ",reboot=shutdown" : "");
    if (options->incoming) {
        option(argv, "-incoming", "defer");
    }
}

GPtrArray *board_arguments(const MachineOptions *options, const BoardPlaces *places, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    const MachineTarget *target = target_find(options->architecture, error);
    if (target == NULL) {
        return NULL;
    }
    add_board(argv, options, target);
    add_channels(argv, places);
    /* Before the drives: the network's place, and so its name in the guest, does not depend on how many there are. */
    add_network(argv, places->forwards);
    drives_add_arguments(argv, places->drives);
    if (!add_firmware(argv, options, target, error) || !add_entry(argv, options, error)) {
        return NULL;
    }
    g_ptr_array_add(argv, NULL);
    return g_steal_pointer(&argv);
}

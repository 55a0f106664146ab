#include <gio/gio.h>
#include <ingot/command.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/format.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "guest/guest.h"
#include "verbs.h"

#define LOGIN_SECONDS 600

typedef struct {
    char **ports;
    char *accel;
    int cpus, memory;
    gboolean uefi;
} RunArguments;

static void arguments_clear(RunArguments *arguments)
{
    g_strfreev(arguments->ports);
    g_free(arguments->accel);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RunArguments, arguments_clear)

static GArray *parse_ports(char **texts, GError **error)
{
    g_autoptr(GArray) ports = g_array_new(TRUE, TRUE, sizeof(guint16));
    for (guint i = 0; texts != NULL && texts[i] != NULL; i++) {
        guint64 port;
        if (!g_ascii_string_to_unsigned(texts[i], 10, 1, 65535, &port, NULL)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "--port %s: a port of the guest, 1 to 65535, is expected", texts[i]);
            return NULL;
        }
        guint16 one = (guint16)port;
        g_array_append_val(ports, one);
    }
    return g_steal_pointer(&ports);
}

/* The disk as a raw file of the work folder: QEMU reads it, -snapshot keeps what is written apart. */
static char *unpack(const IngotImage *image, IngotWorkdir *workdir, GError **error)
{
    g_autofree char *path = ingot_workdir_file(workdir, "disk.raw");
    g_autoptr(IngotDisk) disk = ingot_disk_open(image->disk_path, image->index, error);
    IngotProgress *progress = ingot_command_progress();
    ingot_progress_begin(progress, image->index->disk_size, "unpack %s", image->entry->name);
    if (disk == NULL ||
        !ingot_format_export(ingot_format_raw, &(IngotFormatInput){.disk = disk}, path, progress, error)) {
        return NULL;
    }
    ingot_progress_end(progress, NULL);
    return g_steal_pointer(&path);
}

static void print_entry(const Machine *machine, const GuestKey *key, const GArray *ports)
{
    g_autofree char *ssh =
        g_strdup_printf("ssh -q -i %s -p %u -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1",
                        key->private_path, machine_port(machine, 22));
    g_autoptr(json_t) forwarded = json_object();
    for (guint i = 0; i < ports->len; i++) {
        guint16 guest = g_array_index(ports, guint16, i);
        g_autofree char *name = g_strdup_printf("%u", guest);
        json_object_set_new(forwarded, name, json_integer(machine_port(machine, guest)));
    }
    if (ingot_command_common()->json) {
        g_autoptr(json_t) all = ingot_json_pack("{s:o, s:O, s:o}", "ssh", ingot_json_text(ssh), "ports", forwarded,
                                                "console", ingot_json_text(machine_console(machine)));
        g_autofree char *text = ingot_json_pretty(all);
        fputs(text, stdout);
    } else {
        const char *guest;
        json_t *host;
        printf("%s\n", ssh);
        json_object_foreach(forwarded, guest, host)
        {
            printf("port %s of the machine is 127.0.0.1:%" JSON_INTEGER_FORMAT "\n", guest, json_integer_value(host));
        }
        printf("console: %s\n", machine_console(machine));
    }
    fflush(stdout);
}

static gboolean firmware_is_uefi(const json_t *config)
{
    const json_t *list = json_object_get(config, "firmware");
    return json_array_size(list) == 1 && g_strcmp0(json_string_value(json_array_get(list, 0)), "uefi") == 0;
}

static gboolean boot(const IngotImage *image, const RunArguments *arguments, const GArray *ports, MachineAccel accel,
                     GError **error)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_autofree char *disk = workdir == NULL ? NULL : unpack(image, workdir, error);
    g_autoptr(GuestKey) key = disk == NULL ? NULL : guest_key_new(ingot_workdir_path(workdir), error);
    if (key == NULL) {
        return FALSE;
    }
    g_autofree char *hostname = g_path_get_basename(image->entry->name);
    /* What lies in it is the image's business: it is raw whatever it begins with. */
    const MachineDrive drive = {.path = disk, .format = "raw", .snapshot = TRUE};
    MachineOptions options = {
        .drives = &drive,
        .drive_count = 1,
        .cpus = arguments->cpus > 0 ? (guint)arguments->cpus : 2,
        .memory = (guint64)(arguments->memory > 0 ? arguments->memory : 1024) << 20,
        .uefi = arguments->uefi || firmware_is_uefi(image->config),
        .accel = accel,
        .folder = ingot_workdir_path(workdir),
        .public_key = key->public_line,
        .hostname = hostname,
        .ports = (const guint16 *)(const void *)ports->data,
    };
    IngotProgress *progress = ingot_command_progress();
    ingot_progress_begin(progress, 0, "boot (%s)", accel == MACHINE_KVM ? "kvm" : "tcg");
    g_autoptr(Machine) machine = machine_start(&options, error);
    g_autoptr(Guest) guest =
        machine == NULL ? NULL : guest_connect(machine, &(GuestEntry){.key = key}, LOGIN_SECONDS, error);
    if (guest == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    g_clear_pointer(&guest, guest_free);
    print_entry(machine, key, ports);
    gboolean ended;
    return machine_wait(machine, 0, &ended, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(RunArguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"port", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &arguments.ports, "Forward a free port of 127.0.0.1 to this one",
         "GUEST"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &arguments.accel, "auto, kvm or tcg", "WHAT"},
        {"cpus", 0, 0, G_OPTION_ARG_INT, &arguments.cpus, "Processors (2)", "N"},
        {"memory", 0, 0, G_OPTION_ARG_INT, &arguments.memory, "Memory in MiB (1024)", "MIB"},
        {"uefi", 0, 0, G_OPTION_ARG_NONE, &arguments.uefi, "Boot by UEFI", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_run, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    const IngotCommon *common = ingot_command_common();
    g_autoptr(GArray) ports = parse_ports(arguments.ports, error);
    g_autoptr(IngotReference) reference = ports == NULL ? NULL : ingot_reference_parse(argv[1], error);
    g_autoptr(IngotStore) store = reference == NULL ? NULL : ingot_store_open(common->store, error);
    g_autoptr(IngotImage) image =
        store == NULL ? NULL : ingot_transfer_image(store, reference, ingot_command_progress(), error);
    MachineAccel accel;
    return image != NULL && machine_accel(arguments.accel, common->cache, &accel, NULL, error) &&
           boot(image, &arguments, ports, accel, error);
}

const IngotVerb verb_run = {
    "run", "REF", "boot a throw-away copy of an image",
    "An image of a registry that the store lacks is pulled first. Nothing that the machine writes "
    "is kept. It runs until it is\n"
    "powered off, or until Ctrl-C.\n"
    "\n"
    "Example:\n"
    "  ingot run web:1.0.0 --port 80\n",
    run};

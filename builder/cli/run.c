#include <gio/gio.h>
#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "base/command.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/unpack.h"
#include "guest/sshcommand.h"
#include "remote/environment.h"
#include "transfer/asks.h"
#include "verbs.h"

#define WAIT_SECONDS 600 /* a slow guest under emulation, first boot of a cloud image included */
#define CPUS_MAX 64
#define DISKS_MAX 20u /* places on the board's bus, beside its other devices */
#define NOT_GIVEN G_MININT
#define MEMORY_MIN (64u << 20) /* bytes; as in a recipe */

typedef struct {
    char **ports;
    char *accel, *memory, *pull, *policy, *architecture;
    int cpus;
    gboolean uefi, wait;
} RunArguments;

static void arguments_clear(RunArguments *arguments)
{
    g_strfreev(arguments->ports);
    g_free(arguments->accel);
    g_free(arguments->architecture);
    g_free(arguments->memory);
    g_free(arguments->policy);
    g_free(arguments->pull);
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

/* How to reach the machine: text for people, or one JSON object. */
static void print_entry(const Machine *machine, const GuestKey *key, const GArray *ports)
{
    g_autofree char *ssh = sshcommand_line(key, machine_port(machine, 22));
    g_autoptr(json_t) forwarded = json_object();
    for (guint i = 0; i < ports->len; i++) {
        guint16 guest = g_array_index(ports, guint16, i);
        g_autofree char *name = g_strdup_printf("%u", guest);
        json_object_set_new(forwarded, name, json_integer(machine_port(machine, guest)));
    }
    if (ingot_command_common()->json) {
        g_autoptr(json_t) all =
            ingot_json_pack("{s:s, s:O, s:s}", "ssh", ssh, "ports", forwarded, "console", machine_console(machine));
        g_autofree char *text = ingot_json_pretty(all);
        fputs(text, stdout);
    } else {
        const char *guest;
        json_t *host;
        printf("console: %s\n", machine_console(machine));
        json_object_foreach(forwarded, guest, host)
        {
            printf("port %s of the machine is 127.0.0.1:%" JSON_INTEGER_FORMAT "\n", guest, json_integer_value(host));
        }
        printf("%s\n", ssh);
    }
    fflush(stdout);
}

/* Waits until the ssh command that is printed gets in. */
static gboolean wait_for_login(Machine *machine, const GuestKey *key, GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    ingot_progress_begin(progress, 0, "wait for ssh (the console is in %s)", machine_console(machine));
    if (!sshcommand_wait(machine, key, WAIT_SECONDS, SSHCOMMAND_TRY_SECONDS, error)) {
        g_prefix_error(error, "--wait: ");
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}

static gboolean firmware_is_uefi(const json_t *config)
{
    const json_t *list = json_object_get(config, "firmware");
    return json_array_size(list) == 1 && g_strcmp0(json_string_value(json_array_get(list, 0)), "uefi") == 0;
}

/* A number of the image's config that says what it was baked with; 0: it does not say. */
static guint64 baked_with(const json_t *config, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(json_object_get(config, "machine"), key));
    return value > 0 ? (guint64)value : 0;
}

static const char *architecture_of(const IngotImage *image)
{
    return json_string_value(json_object_get(image->config, "architecture"));
}

/* The machine that the arguments ask for, else the one that the image was baked with, else a small one. */
static gboolean shape(const IngotImage *image, const RunArguments *arguments, MachineOptions *options, GError **error)
{
    guint64 cpus = arguments->cpus != NOT_GIVEN ? (guint64)arguments->cpus : baked_with(image->config, "cpus");
    guint64 mib;
    options->architecture = architecture_of(image);
    options->cpus = (guint)CLAMP(cpus == 0 ? 2 : cpus, 1, CPUS_MAX);
    options->uefi = arguments->uefi || firmware_is_uefi(image->config);
    options->memory = baked_with(image->config, "memory");
    if (arguments->memory == NULL) {
        options->memory = options->memory == 0 ? 1u << 30 : options->memory;
        return TRUE;
    }
    if (g_ascii_string_to_unsigned(arguments->memory, 10, 1, G_MAXUINT64 >> 20, &mib, NULL)) {
        options->memory = mib << 20; /* a bare number is one of MiB */
    } else if (!ingot_text_parse_size(arguments->memory, &options->memory, error)) {
        g_prefix_error(error, "--memory: ");
        return FALSE;
    }
    if (options->memory < MEMORY_MIN) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--memory %s: a machine has at least %u MiB",
                    arguments->memory, MEMORY_MIN >> 20);
        return FALSE;
    }
    return TRUE;
}

/* QEMU reads them, -snapshot keeps what is written apart. What lies in them is the image's business: they are raw
 * whatever they begin with. GArray of MachineDrive. */
static GArray *list_drives(char **disks)
{
    GArray *drives = g_array_new(FALSE, FALSE, sizeof(MachineDrive));
    for (guint i = 0; disks[i] != NULL; i++) {
        const MachineDrive drive = {.path = disks[i], .format = "raw", .snapshot = TRUE};
        g_array_append_val(drives, drive);
    }
    return drives;
}

/* FALSE: it can't be waited for, or did not end well. */
static gboolean attend(Machine *machine, const GuestKey *key, const RunArguments *arguments, const GArray *ports,
                       GError **error)
{
    gboolean ended;
    if (arguments->wait && !wait_for_login(machine, key, error)) {
        return FALSE;
    }
    print_entry(machine, key, ports);
    return machine_wait(machine, 0, &ended, error);
}

static gboolean boot(const IngotImage *image, const RunArguments *arguments, const GArray *ports, MachineAccel accel,
                     GError **error)
{
    MachineOptions options = {.accel = accel};
    if (!shape(image, arguments, &options, error)) {
        return FALSE;
    }
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(error);
    g_auto(GStrv) disks = workdir == NULL ? NULL : unpack_disks(image, workdir, error);
    g_autoptr(GuestKey) key = disks == NULL ? NULL : guest_key_new(ingot_workdir_path(workdir), error);
    if (key == NULL) {
        return FALSE;
    }
    g_autofree char *hostname = g_path_get_basename(image->entry->name);
    g_autoptr(GArray) drives = list_drives(disks);
    options.drives = (const MachineDrive *)(const void *)drives->data;
    options.drive_count = drives->len;
    options.folder = ingot_workdir_path(workdir);
    options.public_key = key->public_line;
    options.hostname = hostname;
    options.ports = (const guint16 *)(const void *)ports->data;
    IngotProgress *progress = ingot_command_progress();
    ingot_progress_begin(progress, 0, "start (%s)", accel == MACHINE_KVM ? "kvm" : "tcg");
    g_autoptr(Machine) machine = machine_start(&options, error);
    if (machine == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    return attend(machine, key, arguments, ports, error);
}

/* What a machine of this host can't be, before anything is unpacked for it. */
static gboolean can_run(const IngotImage *image, GError **error)
{
    if (image->disks->len > DISKS_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it has %u disks, and a machine here at most %u",
                    image->entry->name, image->disks->len, DISKS_MAX);
        return FALSE;
    }
    return TRUE;
}

static gboolean find_accel(const IngotImage *image, const RunArguments *arguments, MachineAccel *accel, GError **error)
{
    GError *problem = NULL;
    if (machine_accel_of(architecture_of(image), arguments->accel, ingot_command_common()->cache, accel, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_prefix_error(&problem, "%s: ", image->entry->name);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(RunArguments) arguments = {.cpus = NOT_GIVEN};
    gboolean allow = FALSE;
    const GOptionEntry entries[] = {
        {"port", 'p', 0, G_OPTION_ARG_STRING_ARRAY, &arguments.ports, "Forward a free port of 127.0.0.1 to this one",
         "GUEST"},
        {"accel", 0, 0, G_OPTION_ARG_STRING, &arguments.accel, "auto, kvm or tcg", "WHAT"},
        {"cpus", 0, 0, G_OPTION_ARG_INT, &arguments.cpus, "Processors (those that the image was baked with)", "N"},
        {"memory", 0, 0, G_OPTION_ARG_STRING, &arguments.memory,
         "Memory, 2G say; a bare number is one of MiB (what the image was baked with)", "SIZE"},
        {"pull", 0, 0, G_OPTION_ARG_STRING, &arguments.pull,
         "Ask the registry: missing (where the store has none, the default), always, never", "WHEN"},
        {"allow-revoked", 0, 0, G_OPTION_ARG_NONE, &allow, "Run an image that its registry has revoked or disabled",
         NULL},
        {"policy", 0, 0, G_OPTION_ARG_FILENAME, &arguments.policy,
         "Which images may be used, signed by whom (policy.json)", "FILE"},
        {"arch", 0, 0, G_OPTION_ARG_STRING, &arguments.architecture,
         "Of a name that stands for images of several architectures, the one for this (this machine's)", "ARCH"},
        {"uefi", 0, 0, G_OPTION_ARG_NONE, &arguments.uefi, "Boot by UEFI", NULL},
        {"wait", 0, 0, G_OPTION_ARG_NONE, &arguments.wait,
         "Print how to get in only when root can log in by ssh (10 minutes at most)", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_run, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_policy(arguments.policy);
    environment_use_architecture(arguments.architecture);
    const IngotCommon *common = ingot_command_common();
    if (arguments.cpus != NOT_GIVEN && (arguments.cpus < 1 || arguments.cpus > CPUS_MAX)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--cpus %d: 1 to %d are possible", arguments.cpus,
                    CPUS_MAX);
        return FALSE;
    }
    g_autoptr(GArray) ports = parse_ports(arguments.ports, error);
    g_autoptr(IngotReference) reference = ports == NULL ? NULL : ingot_reference_parse(argv[1], error);
    IngotPull pull;
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    remote->allow_revoked |= allow;
    const IngotPullOptions pulling = {.progress = ingot_command_progress(), .remote = remote};
    g_autoptr(IngotStore) store = ingot_store_open_lazy(common->store);
    g_autoptr(IngotImage) image = reference == NULL || !ingot_pull_parse(arguments.pull, reference, &pull, error)
                                      ? NULL
                                      : ingot_transfer_image(store, reference, pull, &pulling, error);
    MachineAccel accel;
    return image != NULL && can_run(image, error) && find_accel(image, &arguments, &accel, error) &&
           boot(image, &arguments, ports, accel, error);
}

const IngotVerb verb_run = {
    "run", "REF", "boot a throw-away copy of an image",
    "An image of a registry that the store lacks is pulled first; with --pull=always the registry is asked each time. "
    "Nothing that the machine writes "
    "is kept. All disks of the image are there, in their order (/dev/vda, /dev/vdb). The path of its\n"
    "console, its forwarded ports and an ssh command for root are printed at once. It runs until it is powered off, "
    "or until\n"
    "Ctrl-C. An image for another architecture (arm64) is emulated where its QEMU and its firmware are installed.\n"
    "\n"
    "Examples:\n"
    "  ingot run web:1.0.0 --port 80\n"
    "  ingot run web:1.0.0 --wait --memory 2G\n"
    "  ingot run registry.example/team/web:1.0.0 --arch arm64\n",
    run};

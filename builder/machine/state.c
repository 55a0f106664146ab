#include "machine/state.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/process.h"
#include "machine/board.h"
#include "machine/inside.h"

#define BOARD_VERSION 2 /* raised when board.c gives the guest other devices */
#define FINALIZED_USEC (2 * G_TIME_SPAN_MILLISECOND)

/* The processor that KVM shows the guest; QEMU's own under emulation. */
static char *processor(const MachineOptions *options)
{
    if (options->accel == MACHINE_TCG) {
        return g_strdup(BOARD_EMULATED);
    }
    g_autofree char *text = NULL;
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    if (g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        for (guint i = 0; lines[i] != NULL && *lines[i] != '\0'; i++) { /* those of the first one */
            if (g_str_has_prefix(lines[i], "model name") || g_str_has_prefix(lines[i], "flags")) {
                g_checksum_update(sum, (const guchar *)lines[i], -1);
            }
        }
    }
    return g_strndup(g_checksum_get_string(sum), 16);
}

char *machine_fingerprint(const MachineOptions *options, GError **error)
{
    const char *const argv[] = {MACHINE_QEMU, "--version", NULL};
    g_autofree char *version = ingot_process_output(argv, error);
    g_autofree char *cpu = processor(options);
    if (version == NULL) {
        return NULL;
    }
    version[strcspn(version, "\n")] = '\0';
    return g_strdup_printf("board %d, %s, %s, cpu %s, %u cpus, %" G_GUINT64_FORMAT " bytes, %s", BOARD_VERSION, version,
                           options->accel == MACHINE_KVM ? "kvm" : "tcg", cpu, options->cpus, options->memory,
                           options->uefi ? "uefi" : "bios");
}

static gboolean command(Machine *machine, const char *name, json_t *arguments, GError **error)
{
    g_autoptr(json_t) answer = machine_qmp(machine, name, arguments, error);
    return answer != NULL;
}

gboolean machine_stop(Machine *machine, GError **error)
{
    machine->stopped = command(machine, "stop", NULL, error);
    return machine->stopped;
}

gboolean machine_continue(Machine *machine, GError **error)
{
    if (!command(machine, "cont", NULL, error)) {
        return FALSE;
    }
    machine->stopped = FALSE;
    return TRUE;
}

static gboolean open_layer(Machine *machine, const char *node, const char *path, GError **error)
{
    if (!g_utf8_validate(path, -1, NULL)) {
        g_autofree char *shown = g_filename_display_name(path);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: the path is not UTF-8, so a running machine cannot be told to write there", shown);
        return FALSE;
    }
    json_t *layer = ingot_json_pack("{s:s, s:s, s:s, s:s, s:{s:b}, s:n, s:{s:s, s:s}}", "driver", "qcow2", "node-name",
                                    node, "discard", "unmap", "detect-zeroes", "unmap", "cache", "no-flush", TRUE,
                                    "backing", "file", "driver", "file", "filename", path);
    return command(machine, "blockdev-add", layer, error);
}

/* The layers become the disks' tops together. */
static gboolean put_on_top(Machine *machine, const GPtrArray *nodes, GError **error)
{
    const GPtrArray *tops = machine->tops;
    json_t *actions = json_array();
    for (guint i = 0; i < tops->len; i++) {
        json_array_append_new(actions,
                              ingot_json_pack("{s:s, s:{s:s, s:s}}", "type", "blockdev-snapshot", "data", "node",
                                              g_ptr_array_index(tops, i), "overlay", g_ptr_array_index(nodes, i)));
    }
    return command(machine, "transaction", ingot_json_pack("{s:o}", "actions", actions), error);
}

gboolean machine_layer(Machine *machine, const char *const *paths, GError **error)
{
    GPtrArray *tops = machine->tops;
    g_autoptr(GPtrArray) nodes = g_ptr_array_new_with_free_func(g_free);
    gboolean ok = TRUE;
    guint layer = ++machine->layers;
    for (guint i = 0; ok && i < tops->len; i++) {
        g_assert(paths[i] != NULL);
        g_autofree char *node = g_strdup_printf("layer%u-%u", i, layer);
        ok = open_layer(machine, node, paths[i], error);
        if (ok) {
            g_ptr_array_add(nodes, g_steal_pointer(&node));
        }
    }
    ok = ok && put_on_top(machine, nodes, error);
    for (guint i = 0; i < nodes->len; i++) {
        if (ok) {
            g_free(tops->pdata[i]);
            tops->pdata[i] = g_strdup(g_ptr_array_index(nodes, i));
        } else { /* lets go of the file */
            command(machine, "blockdev-del", ingot_json_pack("{s:s}", "node-name", g_ptr_array_index(nodes, i)), NULL);
        }
    }
    return ok;
}

static gboolean fail_migration(Machine *machine, GError **error)
{
    g_autoptr(GError) ended = NULL;
    g_autoptr(json_t) answer = machine_qmp(machine, "query-migrate", NULL, &ended);
    const char *reason = ended != NULL ? ended->message : json_string_value(json_object_get(answer, "error-desc"));
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the machine's state: %s",
                reason == NULL ? "QEMU gives no reason" : reason);
    return FALSE;
}

/* Waits for the end of a migration in either direction, however long it takes. */
static gboolean wait_for_end(Machine *machine, GError **error)
{
    for (;;) {
        g_autoptr(json_t) event = machine_event(machine, "MIGRATION", error);
        const char *status = json_string_value(json_object_get(json_object_get(event, "data"), "status"));
        if (event == NULL || g_strcmp0(status, "completed") == 0) {
            return event != NULL;
        }
        if (g_strcmp0(status, "failed") == 0) {
            return fail_migration(machine, error);
        }
    }
}

/* Has QEMU migrate through fd. It gets a copy under a name; if it then refuses to begin, the copy is closed again, so
 * that the other end of the pipe does not wait for it. */
static gboolean migrate(Machine *machine, const char *how, int fd, GError **error)
{
    g_auto(IngotFd) ours = fd; /* closed before the wait: the pipe ends with QEMU's copy */
    /* Nothing is to be slowed down: the peer is a pipe. */
    if (!command(machine, "migrate-set-parameters", ingot_json_pack("{s:I}", "max-bandwidth", (json_int_t)1 << 40),
                 error) ||
        !command(machine, "migrate-set-capabilities",
                 ingot_json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", "events", "state", TRUE), error)) {
        return FALSE;
    }
    g_autoptr(json_t) given =
        machine_qmp_fd(machine, "getfd", ingot_json_pack("{s:s}", "fdname", "state"), ours, error);
    if (given == NULL) {
        return FALSE;
    }
    ingot_fd_clear(&ours);
    if (command(machine, how, ingot_json_pack("{s:s}", "uri", "fd:state"), error)) {
        return wait_for_end(machine, error);
    }
    command(machine, "closefd", ingot_json_pack("{s:s}", "fdname", "state"), NULL);
    return FALSE;
}

/* QEMU says "completed" a moment before the machine may go on. */
static gboolean wait_until_finalized(Machine *machine, GError **error)
{
    for (;;) {
        g_autoptr(json_t) answer = machine_qmp(machine, "query-status", NULL, error);
        const char *status = json_string_value(json_object_get(answer, "status"));
        if (answer == NULL || g_strcmp0(status, "finish-migrate") != 0) {
            return answer != NULL;
        }
        g_usleep(FINALIZED_USEC);
    }
}

gboolean machine_save(Machine *machine, int fd, GError **error)
{
    return migrate(machine, "migrate", fd, error) && wait_until_finalized(machine, error);
}

gboolean machine_load(Machine *machine, int fd, GError **error)
{
    return migrate(machine, "migrate-incoming", fd, error);
}

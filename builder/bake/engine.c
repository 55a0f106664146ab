/* The machine of a build: resumed or booted when a stage needs it, ended when the disk is to rest. */
#include <ingot/error.h>
#include <ingot/process.h>
#include <string.h>

#include "bake/enter.h"
#include "bake/inside.h"
#include "cache/memory.h"
#include "machine/state.h"

#define LOGIN_SECONDS 600 /* a slow guest under emulation, first boot of a cloud image included */
#define SHUTDOWN_SECONDS 120

void engine_stop(Stages *stages)
{
    g_clear_pointer(&stages->guest, guest_free);
    g_clear_pointer(&stages->machine, machine_free);
}

static Machine *start_machine(Stages *stages, gboolean incoming, GError **error)
{
    g_autofree char *name = g_strdup_printf("machine-%u", stages->boots++);
    g_autofree char *folder = ingot_workdir_file(stages->in.workdir, name);
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    MachineOptions options = bake_machine(stages->in.recipe, stages->in.options, stages->in.key);
    options.disk = stages->disk;
    options.folder = folder;
    options.incoming = incoming;
    if (incoming && options.uefi && !enter_restore_variables(stages->from, folder, error)) {
        return NULL;
    }
    return machine_start(&options, error);
}

static gboolean boot(Stages *stages, GError **error)
{
    IngotProgress *progress = stages->in.options->progress;
    ingot_progress_begin(progress, 0, "boot (%s)", stages->in.options->accel == MACHINE_KVM ? "kvm" : "tcg");
    stages->machine = start_machine(stages, FALSE, error);
    stages->guest =
        stages->machine == NULL ? NULL : guest_connect(stages->machine, stages->in.key, LOGIN_SECONDS, error);
    if (stages->guest == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    stages->clean = FALSE;
    return TRUE;
}

static gboolean load(Stages *stages, GError **error)
{
    g_autofree char *memory = node_file(stages->from, NODE_MEMORY);
    const char *checksum = json_string_value(json_object_get(stages->from->files, NODE_MEMORY));
    stages->machine = start_machine(stages, TRUE, error);
    stages->guest = stages->machine == NULL ? NULL : guest_reconnect(stages->machine, error);
    return stages->guest != NULL && memory_load(stages->machine, memory, checksum, error) &&
           machine_continue(stages->machine, error) && enter_resumed(stages->guest, stages->in.key, error);
}

/* Goes on from the node's memory where that fits, else from its disk alone. */
static gboolean resume(Stages *stages, GError **error)
{
    IngotProgress *progress = stages->in.options->progress;
    const char *where = node_run(stages->from)->title;
    if (stages->from->fingerprint == NULL) {
        ingot_progress_message(progress, "after '%s' only the disk was kept", where);
        return boot(stages, error);
    }
    if (strcmp(stages->from->fingerprint, stages->fingerprint) != 0) {
        ingot_progress_message(progress, "after '%s' the disk alone is used: the memory is of another machine (%s)",
                               where, stages->from->fingerprint);
        return boot(stages, error);
    }
    GError *problem = NULL;
    ingot_progress_begin(progress, 0, "resume after '%s'", where);
    if (load(stages, &problem)) {
        ingot_progress_end(progress, NULL);
        stages->clean = FALSE;
        return TRUE;
    }
    engine_stop(stages);
    stages->damaged = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
    if (!ingot_interrupt_check(NULL) || stages->damaged ||
        g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    ingot_progress_message(progress, "after '%s' the disk alone is used: %s", where, problem->message);
    g_error_free(problem);
    return layers_renew(stages, error) && boot(stages, error);
}

gboolean engine_need(Stages *stages, GError **error)
{
    if (stages->machine != NULL) {
        return TRUE;
    }
    /* Right behind the node, nothing has been written yet. */
    gboolean at_node = stages->from != NULL && stages->runs->len == stages->from->runs->len;
    return at_node ? resume(stages, error) : boot(stages, error);
}

gboolean engine_shut_down(Stages *stages, GError **error)
{
    ingot_progress_begin(stages->in.options->progress, 0, "shut down");
    if (!machine_shutdown(stages->machine, SHUTDOWN_SECONDS, error)) {
        return FALSE;
    }
    ingot_progress_end(stages->in.options->progress, NULL);
    engine_stop(stages);
    stages->clean = TRUE;
    return TRUE;
}

/* Leaves a disk whose file systems need no recovery. */
gboolean engine_rest(Stages *stages, GError **error)
{
    gboolean frozen;
    if (stages->machine == NULL) {
        return TRUE;
    }
    ingot_progress_begin(stages->in.options->progress, 0, "end the machine");
    if (!guest_freeze(stages->guest, &frozen, error)) {
        return FALSE;
    }
    if (!frozen) {
        return engine_shut_down(stages, error);
    }
    if (!machine_quit(stages->machine, error)) {
        return FALSE;
    }
    ingot_progress_end(stages->in.options->progress, "frozen");
    engine_stop(stages);
    stages->clean = TRUE;
    return TRUE;
}

/* An offline step works on a disk that nobody else does, and that needs no recovery. */
gboolean engine_need_rest(Stages *stages, GError **error)
{
    gboolean untouched = stages->from == NULL && stages->runs->len == 0;
    if (stages->clean || (stages->machine == NULL && untouched)) {
        return TRUE;
    }
    return engine_need(stages, error) && engine_rest(stages, error);
}

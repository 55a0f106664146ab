/* The machine of a build: resumed or booted when a stage needs it, ended when the disk is to rest. */
#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "cache/memory.h"
#include "cache/nvram.h"
#include "machine/state.h"
#include "walk/boot.h"
#include "walk/inside.h"

#define SHUTDOWN_SECONDS 900u /* some services take minutes to stop */
#define TAIL_LINES 12u
#define LOST_SECONDS 5u  /* between the end of a session and that of its machine */
#define DUE_SECONDS 600u /* a restart that is due later than that is not waited for */

void engine_stop(Walk *walk)
{
    g_clear_pointer(&walk->guest, guest_free);
    g_clear_pointer(&walk->machine, machine_free);
}

MachineOptions walk_machine_options(const Recipe *recipe, const BuildHost *host, const GuestKey *key)
{
    RecipeMachine shape = recipe_machine(recipe);
    return (MachineOptions){
        .cpus = shape.cpus,
        .memory = shape.memory,
        .uefi = shape.uefi,
        .accel = host->accel,
        .ends = TRUE,
        .public_key = key->public_line,
    };
}

static Machine *start_machine(Walk *walk, gboolean incoming, GError **error)
{
    g_autofree char *name = g_strdup_printf("machine-%u", walk->boots++);
    g_autofree char *folder = ingot_workdir_file(walk->in.workdir, name);
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    MachineOptions options = walk_machine_options(walk->in.recipe, walk->in.host, walk->in.key);
    MachineDrive drives[1 + RECIPE_DISKS_MAX] = {{.path = walk->disk, .format = "qcow2"}};
    for (guint i = 0; i < walk->further->len; i++) {
        drives[1 + i] = (MachineDrive){.path = g_ptr_array_index(walk->further, i), .format = "qcow2"};
    }
    options.drives = drives;
    options.drive_count = 1 + walk->further->len;
    options.folder = folder;
    options.incoming = incoming;
    if (incoming && options.uefi && !nvram_restore(walk->from, folder, error)) {
        return NULL;
    }
    return machine_start(&options, error);
}

/* A disk that is not clean is that of a machine that has run, and has the entry. */
static gboolean place_entry(const Walk *walk, GError **error)
{
    gboolean untouched = walk->from == NULL && walk->runs->len == 0;
    return !(walk->clean || untouched) ||
           boot_place_entry(walk->in.host, ingot_workdir_path(walk->in.workdir), walk->disk, "qcow2", error);
}

static Machine *start_fresh(gpointer walk, GError **error)
{
    return start_machine(walk, FALSE, error);
}

static gboolean boot(Walk *walk, GError **error)
{
    IngotProgress *progress = walk->in.host->progress;
    ingot_progress_begin(progress, 0, "boot (%s)", walk->in.host->accel == MACHINE_KVM ? "kvm" : "tcg");
    Booted booted;
    if (!place_entry(walk, error) ||
        !boot_machine(walk->in.host, walk->in.recipe, walk->in.key, start_fresh, walk, &booted, error)) {
        return FALSE;
    }
    walk->machine = booted.machine;
    walk->guest = booted.guest;
    walk->secret |= guest_saw_password(walk->guest);
    /* What a timer starts (apt's daily run) has no business in a build, and would come at another time in each. */
    if (!guest_hold_timers(walk->guest, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    walk->clean = FALSE;
    walk->started = TRUE;
    walk->resumed = FALSE;
    return TRUE;
}

/* Seconds since the node's memory was saved. */
static guint64 engine_away(const Walk *walk)
{
    gint64 seconds = g_get_real_time() / G_USEC_PER_SEC - node_run(walk->from)->ran;
    return (guint64)MAX(seconds, 0);
}

/* A memory in which a restart is pending would go down in the middle of some later step. */
static gboolean adopt(Walk *walk, GError **error)
{
    gboolean stopping;
    if (!guest_adopt(walk->guest, walk->in.key, engine_away(walk), &stopping, error)) {
        return FALSE;
    }
    if (stopping) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "a restart or power-off was pending in the memory");
    }
    return !stopping;
}

static gboolean load(Walk *walk, GError **error)
{
    g_autofree char *memory = node_file(walk->from, NODE_MEMORY);
    const char *checksum = json_string_value(json_object_get(walk->from->files, NODE_MEMORY));
    walk->machine = start_machine(walk, TRUE, error);
    walk->guest = walk->machine == NULL ? NULL : guest_reconnect(walk->machine, error);
    return walk->guest != NULL && memory_load(walk->machine, memory, checksum, error) &&
           machine_continue(walk->machine, error) && adopt(walk, error);
}

/* Goes on from the node's memory where that fits, else from its disk alone. */
static gboolean resume(Walk *walk, GError **error)
{
    IngotProgress *progress = walk->in.host->progress;
    const char *where = node_run(walk->from)->title;
    if (walk->from->fingerprint == NULL) {
        ingot_progress_message(progress, "after '%s' only the disk was kept", where);
        return boot(walk, error);
    }
    if (walk->distrusted) {
        return boot(walk, error);
    }
    if (strcmp(walk->from->fingerprint, walk->fingerprint) != 0) {
        ingot_progress_message(progress, "after '%s' the disk alone is used: the memory is of another machine (%s)",
                               where, walk->from->fingerprint);
        return boot(walk, error);
    }
    GError *problem = NULL;
    ingot_progress_begin(progress, 0, "resume after '%s'", where);
    if (load(walk, &problem)) {
        ingot_progress_end(progress, NULL);
        walk->clean = FALSE;
        walk->started = TRUE;
        walk->resumed = TRUE;
        return TRUE;
    }
    engine_stop(walk);
    walk->damaged = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
    if (!ingot_interrupt_check(NULL) || walk->damaged || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    ingot_progress_message(progress, "after '%s' the disk alone is used: %s", where, problem->message);
    g_error_free(problem);
    return layers_renew(walk, error) && boot(walk, error);
}

gboolean engine_need(Walk *walk, GError **error)
{
    if (walk->machine != NULL) {
        return TRUE;
    }
    /* Right behind the node, nothing has been written yet. */
    return walk->from != NULL && !walk->started ? resume(walk, error) : boot(walk, error);
}

/* The guest's own shell first: it is heeded where the power key is switched off. */
static gboolean ask_to_end(Walk *walk, GError **error)
{
    gboolean asked = FALSE;
    if (walk->guest != NULL && guest_settle(walk->guest, GUEST_SHUT_DOWN, &asked, NULL) && asked) {
        return TRUE;
    }
    return ingot_interrupt_check(error) && machine_press_power(walk->machine, error);
}

/* A machine that has halted on its way down has stopped its services and its file systems, as one that powers off. */
static gboolean end_halted(Walk *walk, GError **error)
{
    ingot_progress_message(walk->in.host->progress, "the machine has halted instead of powering off: it is ended");
    return machine_quit(walk->machine, error);
}

/* Waits until a machine that is on its way down, or will be in `due` seconds, has ended. */
static gboolean wait_for_end(Walk *walk, guint due, GError **error)
{
    gboolean ended;
    g_autoptr(GError) problem = NULL;
    if (!machine_wait(walk->machine, due + SHUTDOWN_SECONDS, &ended, &problem)) {
        ended = machine_has_halted(walk->machine);
        if (!ended) {
            g_propagate_error(error, g_steal_pointer(&problem));
        }
        if (!ended || !end_halted(walk, error)) {
            return FALSE;
        }
    }
    if (!ended) {
        g_autofree char *tail = machine_console_tail(walk->machine, TAIL_LINES);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "the machine did not shut down within %u s; the console's last lines:\n%s", SHUTDOWN_SECONDS, tail);
        return FALSE;
    }
    engine_stop(walk);
    return TRUE;
}

gboolean engine_shut_down(Walk *walk, GError **error)
{
    ingot_progress_begin(walk->in.host->progress, 0, "shut down");
    if (!ask_to_end(walk, error) || !wait_for_end(walk, 0, error)) {
        return FALSE;
    }
    ingot_progress_end(walk->in.host->progress, NULL);
    walk->clean = TRUE;
    return TRUE;
}

gboolean engine_restart(Walk *walk, GError **error)
{
    return engine_shut_down(walk, error) && boot(walk, error);
}

/* A restart that is due so late that the build does not wait for it. */
static gboolean refuse_late(guint64 due, GError **error)
{
    g_autofree char *when = ingot_text_duration((double)due);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                "a restart or power-off is scheduled in %s, when another step would run. `shutdown -c` cancels it; a "
                "machine is restarted by `reboot: true` as a step of its own",
                when);
    return FALSE;
}

static void say_going_down(const Walk *walk, const char *title, guint64 due)
{
    g_autofree char *when = ingot_text_duration((double)due);
    if (due == 0) {
        ingot_progress_begin(walk->in.host->progress, 0, "'%s' restarts the machine, or powers it off", title);
    } else {
        ingot_progress_begin(walk->in.host->progress, 0, "'%s' has scheduled a restart or power-off: wait %s for it",
                             title, when);
    }
}

/* Whether the machine has ended or halted by itself after so many seconds. */
static gboolean has_gone(Walk *walk, guint seconds)
{
    gboolean ended = FALSE;
    return machine_wait(walk->machine, seconds, &ended, NULL) ? ended : machine_has_halted(walk->machine);
}

gboolean engine_follow(Walk *walk, const PlanStage *stage, GError **error)
{
    gboolean stopping = FALSE;
    guint64 due = 0;
    g_autoptr(GError) problem = NULL;
    /* A stage that shuts the machine down, or behind which it ends, need not wait for what would do so later: that is
     * scheduled in the machine's memory alone. */
    gboolean ends = stage->shutdown || stage == plan_stage(walk->in.plan, walk->in.plan->stages->len - 1);
    if (guest_is_stopping(walk->guest, &stopping, &due, &problem) && (!stopping || (due > 0 && ends))) {
        return TRUE;
    }
    if (due > DUE_SECONDS) {
        return refuse_late(due, error);
    }
    if (problem != NULL && !has_gone(walk, LOST_SECONDS)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    say_going_down(walk, stage->title, due);
    if (!wait_for_end(walk, (guint)due, error)) {
        return FALSE;
    }
    ingot_progress_end(walk->in.host->progress, NULL);
    walk->clean = stopping;
    return TRUE;
}

gboolean engine_has_ended(Walk *walk)
{
    gboolean stopping = FALSE;
    guint64 due = 0;
    if (walk->machine == NULL || (walk->guest != NULL && guest_is_stopping(walk->guest, &stopping, &due, NULL) &&
                                  (!stopping || due > LOST_SECONDS))) {
        return FALSE;
    }
    return has_gone(walk, stopping ? SHUTDOWN_SECONDS : LOST_SECONDS);
}

/* Leaves a disk whose file systems need no recovery. */
gboolean engine_rest(Walk *walk, GError **error)
{
    gboolean frozen;
    if (walk->machine == NULL) {
        return TRUE;
    }
    ingot_progress_begin(walk->in.host->progress, 0, "end the machine");
    if (!guest_settle(walk->guest, GUEST_FREEZE, &frozen, error)) {
        return FALSE;
    }
    if (!frozen) {
        return engine_shut_down(walk, error);
    }
    if (!machine_quit(walk->machine, error)) {
        return FALSE;
    }
    ingot_progress_end(walk->in.host->progress, "frozen");
    engine_stop(walk);
    walk->clean = TRUE;
    return TRUE;
}

/* An offline step works on a disk that nobody else does, and that needs no recovery. */
gboolean engine_need_rest(Walk *walk, GError **error)
{
    gboolean untouched = walk->from == NULL && walk->runs->len == 0;
    if (walk->clean || (walk->machine == NULL && untouched)) {
        return TRUE;
    }
    return engine_need(walk, error) && engine_rest(walk, error);
}

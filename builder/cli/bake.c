#include "cli/bake.h"

#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <ingot/text.h>
#include <string.h>

#include "cache/record.h"
#include "check/check.h"
#include "cli/config.h"
#include "cli/pause.h"
#include "emit/emit.h"
#include "guest/guest.h"
#include "machine/overlay.h"
#include "plan/plan.h"
#include "seal/seal.h"
#include "seal/spdx.h"
#include "source/source.h"
#include "step/step.h"

#define KEY_COMMENT "ingot-build" /* of GuestKey's public line: what the seal looks for */
#define LOGIN_SECONDS 600         /* a slow guest under emulation, first boot of a cloud image included */
#define SHUTDOWN_SECONDS 120

/* What one build holds while it runs. */
typedef struct {
    const Recipe *recipe;
    const BakeOptions *options;
    Plan *plan;
    IngotWorkdir *workdir;
    Source *source;
    GuestKey *key;
    char *disk; /* the overlay, or the source itself where nothing was changed */
    const char *format;
    SealReport sealed;
    CheckReport *checked; /* NULL: no tests were run */
    json_t *steps;        /* for the config */
} Bake;

static void bake_clear(Bake *bake)
{
    g_clear_pointer(&bake->plan, plan_free);
    g_clear_pointer(&bake->source, source_free);
    g_clear_pointer(&bake->key, guest_key_free);
    g_clear_pointer(&bake->disk, g_free);
    seal_report_clear(&bake->sealed);
    g_clear_pointer(&bake->checked, check_report_free);
    g_clear_pointer(&bake->steps, json_decref);
    g_clear_pointer(&bake->workdir, ingot_workdir_free); /* last: the others lie in it */
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bake, bake_clear)

static Machine *start(Bake *bake, const char *folder_name, const guint16 *ports, gboolean snapshot, GError **error)
{
    RecipeMachine shape = recipe_machine(bake->recipe);
    g_autofree char *folder = ingot_workdir_file(bake->workdir, folder_name);
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    MachineOptions options = {
        .disk = bake->disk,
        .cpus = shape.cpus,
        .memory = shape.memory,
        .uefi = shape.uefi,
        .accel = bake->options->accel,
        .folder = folder,
        .public_key = bake->key->public_line,
        .hostname = bake->recipe->name,
        .ports = ports,
        .snapshot = snapshot,
    };
    return machine_start(&options, error);
}

typedef struct {
    const Bake *bake;
    const char *title;
} LineContext;

static void show_line(const char *line, gpointer user)
{
    const LineContext *context = user;
    g_autofree char *masked = recipe_mask(context->bake->recipe, line);
    ingot_progress_message(context->bake->options->progress, "  %s | %s", context->title, masked);
}

static gboolean run_step(Bake *bake, const PlanStep *step, Machine *machine, Guest *guest, GError **error)
{
    IngotProgress *progress = bake->options->progress;
    LineContext line = {.bake = bake, .title = step->title};
    StepContext context = {.guest = guest, .recipe = bake->recipe, .line = show_line, .user_data = &line};
    for (;;) {
        if (bake->options->debug && !pause_before(step->title, machine, bake->key, progress, error)) {
            return FALSE;
        }
        GError *failure = NULL;
        ingot_progress_begin(progress, 0, "%s", step->title);
        gint64 begin = g_get_monotonic_time();
        if (step_run(&context, step->step, &failure)) {
            ingot_progress_end(progress, NULL);
            json_array_append_new(bake->steps, config_step(step, g_get_monotonic_time() - begin));
            return TRUE;
        }
        if (!pause_after_error(bake->options->on_error, failure, machine, bake->key, progress)) {
            g_autofree char *masked = recipe_mask(bake->recipe, failure->message);
            g_set_error(error, failure->domain, failure->code, "step '%s': %s", step->title, masked);
            g_error_free(failure);
            return FALSE;
        }
        g_clear_error(&failure);
    }
}

/* Leaves a disk whose file systems need no recovery. */
static gboolean end_machine(Machine *machine, Guest *guest, IngotProgress *progress, GError **error)
{
    gboolean frozen;
    ingot_progress_begin(progress, 0, "end the machine");
    if (!guest_freeze(guest, &frozen, error) ||
        !(frozen ? machine_quit(machine, error) : machine_shutdown(machine, SHUTDOWN_SECONDS, error))) {
        return FALSE;
    }
    ingot_progress_end(progress, frozen ? "frozen" : "shut down");
    return TRUE;
}

static gboolean run_steps(Bake *bake, GError **error)
{
    IngotProgress *progress = bake->options->progress;
    ingot_progress_begin(progress, 0, "boot (%s)", bake->options->accel == MACHINE_KVM ? "kvm" : "tcg");
    g_autoptr(Machine) machine = start(bake, "machine", NULL, FALSE, error);
    g_autoptr(Guest) guest = machine == NULL ? NULL : guest_connect(machine, bake->key, LOGIN_SECONDS, error);
    if (guest == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    for (guint i = 0; i < bake->plan->steps->len; i++) {
        if (!run_step(bake, g_ptr_array_index(bake->plan->steps, i), machine, guest, error)) {
            return FALSE;
        }
    }
    return end_machine(machine, guest, progress, error);
}

/* A source that nothing was done to stays what it is; else all changes go to an overlay of it. */
static gboolean prepare_disk(Bake *bake, gboolean changes, GError **error)
{
    guint64 wanted = recipe_machine(bake->recipe).disk;
    guint64 size;
    if (!overlay_size(bake->source->path, &size, error)) {
        return FALSE;
    }
    if (wanted != 0 && wanted < size) {
        g_autofree char *has = ingot_text_size(size);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: machine.disk is smaller than the source's %s",
                    bake->recipe->path, has);
        return FALSE;
    }
    if (!changes && wanted <= size) {
        bake->disk = g_strdup(bake->source->path);
        bake->format = bake->source->format;
        return TRUE;
    }
    bake->disk = ingot_workdir_file(bake->workdir, "disk.qcow2");
    bake->format = "qcow2";
    return overlay_create(bake->disk, bake->source->path, bake->source->format, wanted, error);
}

static gboolean seal(Bake *bake, GError **error)
{
    IngotProgress *progress = bake->options->progress;
    ingot_progress_begin(progress, 0, "seal");
    SealOptions options = {
        .disk = bake->disk,
        .format = bake->format,
        .rules = json_object_get(bake->recipe->tree, "seal"),
        .key_comment = KEY_COMMENT,
        .workdir = ingot_workdir_path(bake->workdir),
        .cache = bake->options->cache,
    };
    if (!ingot_file_make_folder(options.cache, error) || !seal_disk(&options, &bake->sealed, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, "%zu packages", json_array_size(bake->sealed.packages));
    return TRUE;
}

static gboolean judge(Bake *bake, Machine *machine, GError **error)
{
    if (bake->checked->failures->len == 0) {
        return TRUE;
    }
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; i < bake->checked->failures->len; i++) {
        g_string_append_printf(list, "\n  %s", (const char *)g_ptr_array_index(bake->checked->failures, i));
    }
    const char *hint = bake->options->on_error == BAKE_ABORT
                           ? "\nno image was made; --on-error=keep keeps the machine and says how to get in"
                           : "\nno image was made";
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%u of %u tests failed:%s%s", bake->checked->failures->len,
                bake->checked->count, list->str, hint);
    pause_after_error(bake->options->on_error, error == NULL ? NULL : *error, machine, bake->key,
                      bake->options->progress);
    return FALSE;
}

static gboolean check(Bake *bake, GError **error)
{
    if (bake->options->no_test || json_array_size(json_object_get(bake->recipe->tree, "tests")) == 0) {
        return TRUE;
    }
    IngotProgress *progress = bake->options->progress;
    g_autofree guint16 *ports = check_ports(bake->recipe);
    ingot_progress_begin(progress, 0, "boot the sealed image");
    g_autoptr(Machine) machine = start(bake, "check", ports, TRUE, error);
    g_autoptr(Guest) guest = machine == NULL ? NULL : guest_connect(machine, bake->key, LOGIN_SECONDS, error);
    if (guest == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    ingot_progress_begin(progress, 0, "test");
    bake->checked = check_run(bake->recipe, machine, guest, progress, error);
    if (bake->checked == NULL || !judge(bake, machine, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, "%u passed", bake->checked->count);
    return TRUE;
}

static gboolean emit(Bake *bake, IngotDescriptor *manifest, GError **error)
{
    const Recipe *recipe = bake->recipe;
    const json_t *packages = bake->sealed.packages != NULL ? bake->sealed.packages : bake->source->packages;
    g_autoptr(json_t) config = config_new(recipe, bake->source->config, bake->sealed.os, bake->steps);
    g_autoptr(json_t) annotations = config_annotations(recipe, config, bake->options->tag);
    const char *created = json_string_value(json_object_get(config, "created"));
    g_autofree char *spdx =
        packages == NULL ? NULL : spdx_from_packages(recipe->name, config_os(config), created, packages);
    EmitOptions options = {
        .disk = bake->disk,
        .format = bake->format,
        .name = bake->options->name,
        .tag = bake->options->tag,
        .config = config,
        .annotations = annotations,
        .junit = bake->checked == NULL ? NULL : bake->checked->junit,
        .spdx = spdx,
    };
    return emit_image(bake->options->store, &options, bake->options->progress, manifest, error) &&
           record_save(bake->options->cache, &bake->plan->image, manifest, error);
}

static gboolean make(Bake *bake, const SourceContext *context, IngotDescriptor *manifest, GError **error)
{
    bake->source = source_prepare(context, error);
    bake->key = bake->source == NULL ? NULL : guest_key_new(ingot_workdir_path(bake->workdir), error);
    if (bake->key == NULL) {
        return FALSE;
    }
    gboolean steps = bake->plan->steps->len > 0;
    gboolean changes = steps || !bake->source->sealed;
    return prepare_disk(bake, changes, error) && (!steps || run_steps(bake, error)) &&
           (!changes || seal(bake, error)) && check(bake, error) && emit(bake, manifest, error);
}

gboolean bake(const Recipe *recipe, const BakeOptions *options, IngotDescriptor *manifest, gboolean *cached,
              GError **error)
{
    g_auto(Bake) bake = {.recipe = recipe, .options = options, .steps = json_array()};
    bake.workdir = ingot_workdir_new(error);
    if (bake.workdir == NULL) {
        return FALSE;
    }
    SourceContext context = {
        .recipe = recipe,
        .store = options->store,
        .cache = options->cache,
        .workdir = ingot_workdir_path(bake.workdir),
        .no_cache = options->no_cache,
        .progress = options->progress,
    };
    g_autofree char *key = source_key(&context, error);
    bake.plan = key == NULL ? NULL : plan_new(recipe, key, error);
    if (bake.plan == NULL) {
        return FALSE;
    }
    *cached = !options->no_cache && record_find(options->cache, options->store, &bake.plan->image, manifest);
    if (*cached) {
        return ingot_store_tag(options->store, options->name, options->tag, manifest, error);
    }
    return make(&bake, &context, manifest, error);
}

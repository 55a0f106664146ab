/* step: one provisioning action of the recipe, in the machine or on its disk. */
#include <ingot/error.h>
#include <string.h>

#include "plan/builder.h"
#include "recipe/proxy.h"
#include "step/context.h"
#include "walk/inside.h"
#include "walk/pause.h"
#include "walk/stages.h"

static gboolean step_stage_add(PlanBuilder *builder, GError **error)
{
    const json_t *steps = json_object_get(builder->recipe->tree, "steps");
    const json_t *shown = json_object_get(builder->recipe->public_tree, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        const json_t *public_step = json_array_get(shown, i);
        PlanStage *stage = plan_add_step(builder, &stage_step, json_array_get(steps, i), public_step);
        if (!plan_step_inputs(builder, stage, public_step, error)) {
            return FALSE;
        }
        plan_set_key(builder, stage);
    }
    return TRUE;
}

/* --- running --- */

typedef struct {
    Walk *walk;
    const char *title;
} StepRun;

static void show_line(const char *line, gpointer user)
{
    const StepRun *run = user;
    g_autofree char *masked = recipe_mask(run->walk->in.recipe, line);
    ingot_progress_message(run->walk->in.host->progress, "  %s | %s", run->title, masked);
}

/* The machine as a step knows it. */
static void set_machine(StepContext *context, const Walk *walk)
{
    context->guest = walk->guest;
    context->ssh_port = walk->machine == NULL ? 0 : machine_port(walk->machine, 22);
}

static gboolean restart(StepContext *context, GError **error)
{
    const StepRun *run = context->walk;
    gboolean ok = engine_restart(run->walk, error);
    set_machine(context, run->walk);
    return ok;
}

static gboolean step_once(Walk *walk, const PlanStage *stage, GError **error)
{
    StepRun run = {.walk = walk, .title = stage->title};
    g_auto(GStrv) proxies = proxy_environment(walk->in.recipe, stage->offline ? PROXY_HOST_OFFLINE : PROXY_HOST);
    StepContext context = {.recipe = walk->in.recipe,
                           .store = walk->in.host->store,
                           .cache = walk->in.host->cache,
                           .workdir = ingot_workdir_path(walk->in.workdir),
                           .key = walk->in.key,
                           .made = walk->made,
                           .environment = proxies,
                           .line = show_line,
                           .restart = restart,
                           .walk = &run};
    const StepKind *kind = step_kind(stage->step);
    g_ptr_array_set_size(walk->made, 0); /* of a run that failed */
    set_machine(&context, walk);
    walk->secret |= proxy_has_login((const char *const *)proxies);
    if (stage->offline) {
        context.disk = walk->disk;
        context.format = "qcow2";
    }
    ingot_progress_begin(walk->in.host->progress, 0, "%s", stage->title);
    if (!(stage->offline ? kind->run_offline : kind->run)(&context, stage->step, error)) {
        return FALSE;
    }
    ingot_progress_end(walk->in.host->progress, stage->offline ? "offline" : NULL);
    return stage->offline || engine_follow(walk, stage, error);
}

/* The same error without secrets. */
static GError *masked_error(const Walk *walk, const GError *failure)
{
    g_autofree char *masked = recipe_mask(walk->in.recipe, failure->message);
    return g_error_new_literal(failure->domain, failure->code, masked);
}

static gboolean step_failed(const Walk *walk, const PlanStage *stage, const GError *failure, GError **error)
{
    gboolean kept = walk->below != NULL && walk->keeping;
    g_set_error(error, failure->domain, failure->code, "step '%s': %s%s", stage->title, failure->message,
                kept ? "\nthe machine before it is kept: `ingot shell` looks into it, the next build goes on there"
                     : "");
    return FALSE;
}

/* An offline step has no machine in which a person could look around: says once that an option does nothing for it. */
static void say_offline(Walk *walk, const PlanStage *stage, const char *option, const char *what)
{
    if (stage->offline && !walk->offline_said) {
        ingot_progress_message(walk->in.host->progress, "%s: '%s' works on the disk without a machine (offline): %s",
                               option, stage->title, what);
        walk->offline_said = TRUE;
    }
}

/* What a person has done in the machine is in no recipe: nothing of it may stand for one. */
static void note_let_in(Walk *walk)
{
    g_autoptr(GError) problem =
        g_error_new_literal(INGOT_ERROR, INGOT_ERROR_FAILED, "the build stopped to let a person into the machine");
    walk->let_in = TRUE;
    layers_stop_keeping(walk, problem);
}

static const char restarted[] =
    "the machine restarted, powered off or halted while the step ran, so the step's exit status is "
    "not known. A step that needs "
    "a restart ends first: use `reboot: true` as a step of its own, or `shutdown: true` on "
    "the step. (An earlier step may "
    "have left a restart behind.)\n";

/* The machine may have been started again meanwhile, or have ended. */
static Pause pause_of(const Walk *walk)
{
    return (Pause){.machine = walk->machine,
                   .key = walk->in.key,
                   .recipe = walk->in.recipe->path,
                   .progress = walk->in.host->progress};
}

gboolean walk_run_step(Walk *walk, const PlanStage *stage, GError **error)
{
    const WalkOptions *options = walk->in.options;
    for (;;) {
        g_autoptr(GError) problem = NULL;
        Pause pause = pause_of(walk);
        if (options->debug && pause.machine != NULL) {
            if (!pause_before(&pause, stage->title, error)) {
                return FALSE;
            }
            note_let_in(walk);
        }
        if (options->debug) {
            say_offline(walk, stage, "--debug", "the build does not pause before it");
        }
        if (step_once(walk, stage, &problem)) {
            return TRUE;
        }
        if (engine_has_ended(walk)) {
            g_prefix_error(&problem, "%s", restarted);
            walk->torn = walk->resumed;
            engine_stop(walk);
        }
        if (options->on_error != ON_ERROR_ABORT) {
            say_offline(walk, stage, "--on-error", "there is nothing to keep or to ask about");
        }
        g_autoptr(GError) failure = masked_error(walk, problem);
        pause = pause_of(walk);
        if (pause.machine == NULL || !pause_after_error(&pause, options->on_error, TRUE, failure)) {
            return step_failed(walk, stage, failure, error);
        }
        note_let_in(walk);
    }
}

const StageKind stage_step = {.name = "step", .add = step_stage_add, .run = walk_run_step};

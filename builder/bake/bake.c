#include "bake/bake.h"

#include <ingot/error.h>
#include <string.h>

#include "bake/config.h"
#include "bake/logs.h"
#include "bake/origin.h"
#include "bake/recipetar.h"
#include "bake/said.h"
#include "bake/trial.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "cache/history.h"
#include "cache/nodes.h"
#include "cache/record.h"
#include "check/check.h"
#include "emit/emit.h"
#include "guest/entry.h"
#include "guest/guest.h"
#include "machine/overlay.h"
#include "plan/plan.h"
#include "seal/seal.h"
#include "seal/spdx.h"
#include "source/source.h"
#include "walk/pause.h"
#include "walk/sharing.h"
#include "walk/walk.h"

#define LEFT_OUT_SHOWN 20 /* of the files that are not attached */

/* What one build holds while it runs. */
typedef struct {
    const Recipe *recipe;
    const BakeOptions *options;
    Plan *plan;
    IngotWorkdir *workdir;
    gint64 started; /* seconds since 1970 */
    int refresh;    /* number of the first stage to run anew; -1: none */
    SourceIdentity *identity;
    Origin origin;
    RecipeTar tar;
    Source *source;
    GuestKey *key;
    Walk *walk;       /* NULL: none were needed */
    const char *disk; /* the stages' layer, or the source itself where nothing was changed */
    const char *format;
    SealReport sealed;
    CheckReport *checked; /* NULL: no tests were run */
} Bake;

static void bake_clear(Bake *bake)
{
    g_clear_pointer(&bake->walk, walk_free);
    g_clear_pointer(&bake->plan, plan_free);
    g_clear_pointer(&bake->source, source_free);
    g_clear_pointer(&bake->identity, source_identity_free);
    g_clear_pointer(&bake->key, guest_key_free);
    origin_clear(&bake->origin);
    recipe_tar_clear(&bake->tar);
    seal_report_clear(&bake->sealed);
    g_clear_pointer(&bake->checked, check_report_free);
    g_clear_pointer(&bake->workdir, ingot_workdir_free); /* last: the others lie in it */
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Bake, bake_clear)

/* A disk may grow, not shrink. *grows: this one will. */
static gboolean check_size(const Bake *bake, gboolean *grows, GError **error)
{
    guint64 wanted = recipe_machine(bake->recipe).disk;
    guint64 size;
    if (!overlay_size(bake->source->path, bake->source->format, &size, error)) {
        return FALSE;
    }
    if (wanted != 0 && wanted < size) {
        g_autofree char *has = ingot_text_size(size);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: machine.disk is smaller than the source's %s",
                    bake->recipe->path, has);
        return FALSE;
    }
    *grows = wanted > size;
    return TRUE;
}

static WalkInput walk_input(const Bake *bake)
{
    return (WalkInput){.recipe = bake->recipe,
                       .plan = bake->plan,
                       .source = bake->source,
                       .host = &bake->options->host,
                       .options = &bake->options->walk,
                       .key = bake->key,
                       .workdir = bake->workdir,
                       .refresh = bake->refresh};
}

/* A source that nothing is done to stays what it is; else all changes go to layers over it. */
static gboolean provision(Bake *bake, gboolean changes, GError **error)
{
    gboolean grows;
    if (!check_size(bake, &grows, error)) {
        return FALSE;
    }
    if (!changes && !grows) {
        bake->disk = bake->source->path;
        bake->format = bake->source->format;
        return TRUE;
    }
    WalkInput input = walk_input(bake);
    if (bake->options->walk.cache_from != NULL && walk_keeps(&input) && !sharing_fetch(&input, error)) {
        return FALSE;
    }
    bake->walk = walk_run(&input, error);
    if (bake->walk == NULL) {
        return FALSE;
    }
    bake->disk = walk_disk(bake->walk);
    bake->format = "qcow2";
    return TRUE;
}

static gboolean seal(Bake *bake, GError **error)
{
    IngotProgress *progress = bake->options->host.progress;
    ingot_progress_begin(progress, 0, "seal");
    SealOptions options = {
        .disk = bake->disk,
        .format = bake->format,
        .rules = json_object_get(bake->recipe->tree, "seal"),
        .key = bake->key == NULL ? NULL : bake->key->public_line,
        .traces = entry_files,
        .workdir = ingot_workdir_path(bake->workdir),
        .cache = bake->options->host.cache,
    };
    if (!seal_disk(&options, &bake->sealed, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, "%zu packages", json_array_size(bake->sealed.packages));
    for (guint i = 0; i < bake->sealed.notes->len; i++) {
        ingot_progress_message(progress, "seal: %s", (const char *)g_ptr_array_index(bake->sealed.notes, i));
    }
    for (guint i = 0; i < bake->sealed.unmatched->len; i++) {
        ingot_progress_message(progress, "seal.remove: nothing matches %s",
                               (const char *)g_ptr_array_index(bake->sealed.unmatched, i));
    }
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
    const char *hint = bake->options->walk.on_error == ON_ERROR_ABORT
                           ? "\nno image was made; --on-error=keep keeps the machine and says how to get in"
                           : "\nno image was made";
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%u of %u tests failed:%s%s", bake->checked->failures->len,
                bake->checked->count, list->str, hint);
    const Pause pause = {
        .machine = machine, .key = bake->key, .recipe = bake->recipe->path, .progress = bake->options->host.progress};
    pause_after_error(&pause, bake->options->walk.on_error, FALSE, error == NULL ? NULL : *error);
    return FALSE;
}

static gboolean has_tests(const Recipe *recipe)
{
    return json_array_size(json_object_get(recipe->tree, "tests")) > 0;
}

RecordOf bake_record(const Recipe *recipe, const BakeOptions *options, const Plan *plan, const Origin *origin)
{
    return (RecordOf){.plan = plan,
                      .version = options->tag,
                      .tested = has_tests(recipe) && !options->no_test,
                      .clean = origin->clean && !options->any_origin && !options->check_only};
}

static gboolean check(Bake *bake, GError **error)
{
    if (bake->options->no_test || !has_tests(bake->recipe)) {
        return TRUE;
    }
    IngotProgress *progress = bake->options->host.progress;
    g_autofree guint16 *ports = check_ports(bake->recipe);
    ingot_progress_begin(progress, 0, "boot the %s", bake->options->check_only ? "disk" : "sealed image");
    g_autofree char *folder = ingot_workdir_file(bake->workdir, "check");
    TrialOptions trial = {.host = &bake->options->host,
                          .recipe = bake->recipe,
                          .key = bake->key,
                          .disk = bake->disk,
                          .format = bake->format,
                          .folder = folder,
                          .ports = ports};
    Booted booted;
    if (!ingot_file_make_folder(folder, error) || !trial_boot(&trial, &booted, error)) {
        return FALSE;
    }
    g_autoptr(Machine) machine = booted.machine;
    g_autoptr(Guest) guest = booted.guest; /* freed first: it speaks to the machine */
    ingot_progress_end(progress, NULL);
    ingot_progress_begin(progress, 0, "test");
    bake->checked = check_run(bake->recipe, machine, guest, progress, error);
    if (bake->checked != NULL && bake->options->host.report != NULL) {
        bake->options->host.report->tested = TRUE;
        bake->options->host.report->suite = g_strdup(bake->checked->suite);
        bake->options->host.report->failures = bake->checked->failures->len;
    }
    if (bake->checked == NULL || !judge(bake, machine, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, "%u passed", bake->checked->count);
    return TRUE;
}

/* For the config: what ran, when, and for how long. */
static json_t *steps_of(const Bake *bake)
{
    json_t *steps = json_array();
    const GPtrArray *runs = bake->walk == NULL ? NULL : walk_runs(bake->walk);
    for (guint i = 0; runs != NULL && i < runs->len; i++) {
        const NodeRun *run = g_ptr_array_index(runs, i);
        if (!ingot_digest_equal(&run->key, &plan_stage(bake->plan, 0)->key)) {
            json_array_append_new(steps, config_step(run));
        }
    }
    return steps;
}

/* What cannot be remembered is only made again the next time, and so is what a person may have changed. */
static void remember(const Bake *bake, const IngotDescriptor *manifest)
{
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GError) problem = NULL;
    const GPtrArray *runs = bake->walk == NULL ? none : walk_runs(bake->walk);
    RecordOf record = bake_record(bake->recipe, bake->options, bake->plan, &bake->origin);
    record.clean = bake->origin.clean;
    record.tested = bake->checked != NULL || !has_tests(bake->recipe);
    gboolean let_in = bake->walk != NULL && walk_let_in(bake->walk);
    if (!bake->options->walk.no_cache && !let_in &&
        !record_save(bake->options->host.cache, &record, runs, manifest, &problem)) {
        ingot_progress_message(bake->options->host.progress, "the cache does not remember this image: %s",
                               problem->message);
    }
}

static gboolean was_booted(const Bake *bake)
{
    gboolean booted = bake->checked != NULL;
    for (guint i = 1; i < bake->plan->stages->len; i++) {
        booted |= !plan_stage(bake->plan, i)->offline;
    }
    return booted;
}

/* Whoever may pull the image may read what is attached. */
static void say_what_is_attached(const Bake *bake)
{
    IngotProgress *progress = bake->options->host.progress;
    const GPtrArray *left_out = bake->tar.left_out;
    ingot_progress_message(progress, "attached: the recipe, with %u files that its steps read", bake->tar.files);
    for (guint i = 0; i < left_out->len && i < LEFT_OUT_SHOWN; i++) {
        g_autofree char *line = ingot_text_line(g_ptr_array_index(left_out, i));
        ingot_progress_message(progress, "not attached: %s", line);
    }
    if (left_out->len > LEFT_OUT_SHOWN) {
        ingot_progress_message(progress, "not attached: %u more", left_out->len - LEFT_OUT_SHOWN);
    }
}

static gboolean emit(Bake *bake, IngotDescriptor *manifest, GError **error)
{
    const Recipe *recipe = bake->recipe;
    const json_t *packages = bake->sealed.packages != NULL ? bake->sealed.packages : bake->source->packages;
    g_autoptr(json_t) steps = steps_of(bake);
    const ConfigFacts facts = {.recipe = recipe,
                               .origin = &bake->origin,
                               .tar = bake->tar.tar,
                               .source = bake->source->config,
                               .os = bake->sealed.os,
                               .steps = steps,
                               .booted = was_booted(bake)};
    g_autoptr(json_t) config = config_new(&facts);
    g_autoptr(json_t) annotations = config_annotations(recipe, config, bake->options->tag);
    g_autoptr(json_t) report = bake->checked == NULL ? NULL : said_of_tests(recipe, bake->checked, SAID_BY_BUILD);
    g_autoptr(json_t) provenance = said_of_build(recipe, config, &bake->origin, bake->started);
    const char *created = json_string_value(json_object_get(config, "created"));
    g_autofree char *spdx =
        packages == NULL ? NULL : spdx_from_packages(recipe->name, json_object_get(config, "os"), created, packages);
    EmitOptions options = {
        .disk = bake->disk,
        .format = bake->format,
        .name = bake->options->name,
        .tag = bake->options->tag,
        .config = config,
        .annotations = annotations,
        .report = report,
        .provenance = provenance,
        .spdx = spdx,
        .recipe = bake->tar.tar,
        .recipe_type = RECIPE_TAR_TYPE,
        .recipe_annotations = bake->tar.annotations,
    };
    if (!emit_image(bake->options->host.store, &options, bake->options->host.progress, manifest, error)) {
        return FALSE;
    }
    say_what_is_attached(bake);
    remember(bake, manifest);
    return TRUE;
}

/* Pushes what is kept of the plan, after a failed step too: there the next build goes on. What fails in that case is
 * only said, for the step's error counts more. */
static gboolean give(Bake *bake, gboolean built, GError **error)
{
    if (bake->options->walk.cache_to == NULL || bake->options->walk.no_cache) {
        return built;
    }
    WalkInput input = walk_input(bake);
    if (bake->walk != NULL) {
        walk_settle(bake->walk);
    }
    if (built) {
        return sharing_push(&input, error);
    }
    g_autoptr(GError) problem = NULL;
    if (ingot_interrupt_check(NULL) && !sharing_push(&input, &problem)) {
        ingot_progress_message(bake->options->host.progress, "what is kept is not pushed: %s", problem->message);
    }
    return FALSE;
}

/* Whether the seal of the source left no more of its machine than the recipe keeps. */
static gboolean source_is_sealed(const Bake *bake)
{
    const json_t *keep = json_object_get(json_object_get(bake->recipe->tree, "seal"), "keep");
    gboolean sealed = bake->source->sealed != NULL;
    for (size_t i = 0; i < json_array_size(bake->source->sealed); i++) {
        const char *left = json_string_value(json_array_get(bake->source->sealed, i));
        sealed &= left != NULL && ingot_json_has_text(keep, left);
    }
    return sealed;
}

/* Whether the image is more than its source under another name. */
static gboolean has_changes(const Bake *bake)
{
    const json_t *seal = json_object_get(bake->recipe->tree, "seal");
    return bake->plan->stages->len > 1 || !source_is_sealed(bake) ||
           json_array_size(json_object_get(seal, "remove")) > 0;
}

/* What an earlier seal has removed does not come back where no step makes it again. */
static void say_what_is_not_kept(const Bake *bake)
{
    const json_t *keep = json_object_get(json_object_get(bake->recipe->tree, "seal"), "keep");
    gboolean untouched = bake->plan->stages->len == 1 && bake->source->sealed != NULL;
    for (size_t i = 0; untouched && i < json_array_size(keep); i++) {
        const char *word = json_string_value(json_array_get(keep, i));
        if (!ingot_json_has_text(bake->source->sealed, word)) {
            ingot_progress_message(bake->options->host.progress,
                                   "seal.keep: there is no %s to keep: the source is sealed already", word);
        }
    }
}

/* Takes what is attached of the recipe and its files, which are still those that the plan's keys are made of. */
static gboolean gather(Bake *bake, GError **error)
{
    if (!recipe_tar_make(bake->recipe, &bake->tar, error)) {
        return FALSE;
    }
    for (guint i = 0; i < bake->plan->stages->len; i++) {
        if (!plan_check_files(plan_stage(bake->plan, i), error)) {
            return FALSE;
        }
    }
    origin_settle(&bake->origin, bake->recipe, bake->options->host.progress);
    return TRUE;
}

static gboolean make(Bake *bake, const SourceContext *context, IngotDescriptor *manifest, GError **error)
{
    if (!bake->options->check_only && !gather(bake, error)) {
        return FALSE;
    }
    bake->source = source_prepare(context, bake->identity, error);
    bake->key = bake->source == NULL ? NULL : guest_key_new(ingot_workdir_path(bake->workdir), error);
    if (bake->key == NULL) {
        return FALSE;
    }
    gboolean changes = has_changes(bake);
    if (bake->options->check_only) {
        return provision(bake, changes, error) && check(bake, error);
    }
    say_what_is_not_kept(bake);
    return provision(bake, changes, error) && (!changes || seal(bake, error)) && check(bake, error) &&
           emit(bake, manifest, error);
}

static gboolean find_refresh(Bake *bake, GError **error)
{
    const char *text = bake->options->refresh;
    bake->refresh = text == NULL ? -1 : *text == '\0' ? 0 : plan_find(bake->plan, text, error);
    return text == NULL || bake->refresh >= 0;
}

static SourceContext source_context(const Recipe *recipe, const BakeOptions *options, const char *workdir)
{
    return (SourceContext){
        .recipe = recipe,
        .store = options->host.store,
        .cache = options->host.cache,
        .workdir = workdir,
        .refresh = options->walk.no_cache || g_strcmp0(options->refresh, "") == 0,
        .no_cache = options->walk.no_cache,
        .needed = nodes_stand_on,
        .parent = options->parent,
        .progress = options->host.progress,
    };
}

static Plan *plan_of(const Recipe *recipe, const BakeOptions *options, const SourceIdentity *identity, gboolean look,
                     GError **error)
{
    const char *cache = options->host.cache;
    g_autofree char *salt = options->walk.no_cache ? nodes_random_salt(error)
                            : look                 ? nodes_look_salt(cache, error)
                                                   : nodes_salt(cache, error);
    return salt == NULL ? NULL : plan_new(recipe, source_identity_key(identity), salt, error);
}

Plan *bake_plan(const Recipe *recipe, const BakeOptions *options, SourceLook *look, GError **error)
{
    SourceContext context = source_context(recipe, options, NULL); /* nothing is made for a look */
    context.look = TRUE;
    g_autoptr(SourceIdentity) identity = source_identify(&context, error);
    if (identity == NULL) {
        return NULL;
    }
    *look = source_look(&context, identity);
    return plan_of(recipe, options, identity, TRUE, error);
}

static void report_cached(const Bake *bake)
{
    BuildReport *report = bake->options->host.report;
    for (guint i = 0; i < bake->plan->stages->len; i++) {
        report_step(report, plan_stage(bake->plan, i)->title, REPORT_CACHED, 0);
    }
    if (report != NULL) {
        report->tested = !bake->options->no_test && json_array_size(json_object_get(bake->recipe->tree, "tests")) > 0;
    }
}

static gboolean use_record(const Bake *bake, const IngotDescriptor *manifest, GError **error)
{
    const BakeOptions *options = bake->options;
    report_cached(bake);
    return options->check_only || ingot_store_tag(options->host.store, options->name, options->tag, manifest, error);
}

/* An image that was built before its recipe was committed says so for ever: once it is committed, another is made of
 * the same machines. */
static gboolean find_record(const Bake *bake, const char *disk, IngotDescriptor *manifest)
{
    const BakeOptions *options = bake->options;
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    RecordOf record = bake_record(bake->recipe, options, bake->plan, &bake->origin);
    record.source = disk;
    gboolean found = record_find(options->host.cache, options->host.store, &record, now, manifest);
    if (!found && record.clean) {
        record.clean = FALSE;
        if (record_find(options->host.cache, options->host.store, &record, now, manifest)) {
            ingot_progress_message(options->host.progress, "the image that is there was not built from a clean "
                                                           "commit: it is sealed, tested and stored anew");
        }
    }
    return found;
}

/* Consoles and QEMU's words outlive the work folder where that is asked for. */
static void keep_logs(const Bake *bake)
{
    g_autoptr(GError) problem = NULL;
    if (bake->options->log_dir != NULL &&
        !logs_keep(ingot_workdir_path(bake->workdir), bake->options->log_dir, &problem)) {
        ingot_progress_message(bake->options->host.progress, "--log-dir: %s", problem->message);
    }
}

static gboolean bake_in_workdir(Bake *bake, IngotDescriptor *manifest, gboolean *cached, GError **error)
{
    const Recipe *recipe = bake->recipe;
    const BakeOptions *options = bake->options;
    SourceContext context = source_context(recipe, options, ingot_workdir_path(bake->workdir));
    bake->identity = source_identify(&context, error);
    origin_ask(recipe, &bake->origin);
    bake->plan = bake->identity == NULL ? NULL : plan_of(recipe, options, bake->identity, FALSE, error);
    if (bake->plan == NULL || !find_refresh(bake, error)) {
        return FALSE;
    }
    g_auto(SourceLook) look = source_look(&context, bake->identity);
    *cached = !options->walk.no_cache && bake->refresh < 0 && find_record(bake, look.disk, manifest);
    if (*cached && !source_allow(&context, bake->identity, error)) {
        return FALSE;
    }
    if (!options->walk.no_cache) {
        history_save(options->host.cache, recipe, bake->plan, NULL); /* without it, less can be said later */
    }
    GError *problem = NULL;
    gboolean built = *cached ? use_record(bake, manifest, &problem) : make(bake, &context, manifest, &problem);
    if (problem != NULL && g_error_matches(problem, SOURCE_ERROR, SOURCE_ERROR_CHANGED)) {
        g_propagate_error(error, problem);
        return FALSE; /* of this plan nothing is wanted any more */
    }
    built = give(bake, built, error);
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return built;
}

static gboolean bake_once(const Recipe *recipe, const BakeOptions *options, IngotDescriptor *manifest, gboolean *cached,
                          GError **error)
{
    g_auto(Bake) bake = {.recipe = recipe, .options = options, .started = g_get_real_time() / G_USEC_PER_SEC};
    bake.workdir = ingot_workdir_new(error);
    if (bake.workdir == NULL) {
        return FALSE;
    }
    gboolean ok = bake_in_workdir(&bake, manifest, cached, error);
    keep_logs(&bake);
    return ok;
}

gboolean bake(const Recipe *recipe, const BakeOptions *options, IngotDescriptor *manifest, gboolean *cached,
              GError **error)
{
    for (guint attempt = 1;; attempt++) {
        GError *problem = NULL;
        if (bake_once(recipe, options, manifest, cached, &problem)) {
            return TRUE;
        }
        if (attempt == SOURCE_ATTEMPTS || !g_error_matches(problem, SOURCE_ERROR, SOURCE_ERROR_CHANGED)) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        ingot_progress_message(options->host.progress, "%s: the build starts over", problem->message);
        g_error_free(problem);
    }
}

#include "prospect/prospect.h"

#include <string.h>

#include "base/file.h"
#include "cache/nodes.h"
#include "cache/passed.h"
#include "cache/record.h"

void prospect_free(Prospect *prospect)
{
    if (prospect != NULL) {
        g_clear_pointer(&prospect->plan, plan_free);
        g_clear_pointer(&prospect->nodes, g_ptr_array_unref);
        g_clear_pointer(&prospect->history, history_free);
        source_look_clear(&prospect->source);
        g_free(prospect);
    }
}

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

/* What the recipe's parent has given, as SourceContext wants it. *missing: it is yet to be built. Free it. */
static gboolean find_parent(const GraphRecipe *one, const BakeOptions *options, char **parent, gboolean *missing,
                            GError **error)
{
    if (one->parent == NULL) {
        return TRUE;
    }
    g_autoptr(Prospect) above = prospect_new(one->parent, options, error);
    if (above == NULL) {
        return FALSE;
    }
    *missing = !above->image;
    if (above->image) {
        const Recipe *recipe = one->parent->recipe;
        char digest[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&above->manifest.digest, digest);
        *parent =
            g_strdup_printf("%s:%s@%s", recipe->name, recipe->version == NULL ? "latest" : recipe->version, digest);
    }
    return TRUE;
}

Prospect *prospect_new(const GraphRecipe *one, const BakeOptions *options, GError **error)
{
    g_autoptr(Prospect) prospect = g_new0(Prospect, 1);
    g_autofree char *parent = NULL;
    gboolean missing = FALSE;
    if (!find_parent(one, options, &parent, &missing, error)) {
        return NULL;
    }
    if (missing) {
        return g_steal_pointer(&prospect);
    }
    BakeOptions own = *options;
    own.parent = parent;
    own.any_origin = !one->asked_for;
    own.tag = one->recipe->version == NULL ? "latest" : one->recipe->version;
    prospect->plan = bake_plan(one->recipe, &own, &prospect->source, error);
    prospect->nodes = prospect->plan == NULL ? NULL : nodes_list(options->host.cache, error);
    if (prospect->nodes == NULL) {
        return NULL;
    }
    prospect->best = nodes_best(prospect->nodes, prospect->plan, prospect->source.disk, -1, now());
    prospect->history = history_load(options->host.cache, one->recipe);
    g_auto(Origin) origin = {0};
    origin_ask(one->recipe, &origin);
    RecordOf record = bake_record(one->recipe, &own, prospect->plan, &origin);
    record.source = prospect->source.disk;
    prospect->image = record_find(options->host.cache, options->host.store, &record, now(), &prospect->manifest);
    return g_steal_pointer(&prospect);
}

gboolean prospect_stands(const Prospect *prospect, guint stage)
{
    return prospect->best != NULL && (int)stage <= plan_find_key(prospect->plan, &node_run(prospect->best)->key);
}

const NodeRun *prospect_run(const Prospect *prospect, guint stage)
{
    const IngotDigest *key = &plan_stage(prospect->plan, stage)->key;
    const NodeRun *newest = node_find_run(prospect->best, key);
    if (newest != NULL) {
        return newest;
    }
    for (guint i = 0; i < prospect->nodes->len; i++) {
        const NodeRun *run = node_find_run(g_ptr_array_index(prospect->nodes, i), key);
        newest = run != NULL && (newest == NULL || run->ran > newest->ran) ? run : newest;
    }
    return newest;
}

char *prospect_why(const Prospect *prospect, guint stage)
{
    const NodeRun *run = prospect_run(prospect, stage);
    char *change = history_change(prospect->history, prospect->plan, stage);
    if (change != NULL) {
        return change;
    }
    char *stale = run == NULL ? NULL : nodes_why_stale(plan_stage(prospect->plan, stage), run, now());
    if (stale != NULL) {
        return stale;
    }
    if (stage > 0 && !prospect_stands(prospect, stage - 1)) {
        return g_strdup("follows a step that is run");
    }
    return passed_why(prospect->nodes, prospect->plan, stage, prospect->source.disk, prospect->best);
}

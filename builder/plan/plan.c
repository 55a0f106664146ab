#include "plan/plan.h"

#include <ingot/digest.h>
#include <ingot/error.h>
#include <ingot/text.h>
#include <string.h>

#include "plan/tree.h"
#include "ready/ready.h"
#include "step/step.h"

static void stage_free(gpointer data)
{
    PlanStage *stage = data;
    json_decref(stage->step);
    json_decref(stage->inputs);
    g_free(stage->title);
    g_free(stage);
}

void plan_free(Plan *plan)
{
    if (plan != NULL) {
        g_ptr_array_unref(plan->stages);
        g_free(plan);
    }
}

static PlanStage *add_stage(Plan *plan, json_t *step, char *title)
{
    PlanStage *stage = g_new0(PlanStage, 1);
    stage->step = json_incref(step);
    stage->title = title;
    stage->inputs = json_object();
    g_ptr_array_add(plan->stages, stage);
    return stage;
}

static void add_json(IngotHasher *hasher, const json_t *value)
{
    g_autofree char *text = ingot_json_canonical(value);
    ingot_hasher_add(hasher, text, strlen(text) + 1);
}

static void add_text(IngotHasher *hasher, const char *text)
{
    ingot_hasher_add(hasher, text, strlen(text) + 1);
}

static void stage_key(PlanStage *stage, const IngotDigest *parent)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    add_text(hasher, "ingot plan 2");
    if (parent != NULL) {
        ingot_hasher_add(hasher, parent->bytes, sizeof parent->bytes);
    }
    add_json(hasher, stage->inputs);
    ingot_hasher_finish(hasher, &stage->key);
}

/* --- the first stage --- */

static void first_stage(Plan *plan, const Recipe *recipe, const char *source_key)
{
    PlanStage *stage = add_stage(plan, NULL, g_strdup("boot"));
    const char *name;
    json_t *value;
    json_object_set_new(stage->inputs, "source", json_string(source_key));
    json_object_foreach(json_object_get(recipe->public_tree, "machine"), name, value)
    {
        g_autofree char *key = g_strconcat("machine.", name, NULL);
        json_object_set(stage->inputs, key, value);
    }
    stage_key(stage, NULL);
}

/* --- steps --- */

/* Does not change what a step does. */
static gboolean is_about_caching(const char *key)
{
    static const char *const words[] = {"name", "max_age", "cache", NULL};
    return g_strv_contains(words, key);
}

/* Every text of the value that has a secret in it, under its place: "env/A". */
static void find_secrets(const Recipe *recipe, const char *place, const json_t *value, json_t *found)
{
    const char *name;
    json_t *item;
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        g_autofree char *inner = g_strdup_printf("%s/%zu", place, i);
        find_secrets(recipe, inner, json_array_get(value, i), found);
    }
    json_object_foreach((json_t *)value, name, item)
    {
        g_autofree char *inner = g_strconcat(place, "/", name, NULL);
        find_secrets(recipe, inner, item, found);
    }
    if (json_is_string(value)) {
        g_autofree char *masked = recipe_mask(recipe, json_string_value(value));
        if (strcmp(masked, json_string_value(value)) != 0) {
            json_object_set(found, place, (json_t *)value);
        }
    }
}

/* All of them as one HMAC, whatever the order of the keys. */
static void add_secrets(PlanStage *stage, const Recipe *recipe, const char *salt)
{
    g_autoptr(json_t) found = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)stage->step, name, value)
    {
        if (!is_about_caching(name)) {
            find_secrets(recipe, name, value, found);
        }
    }
    stage->secret = json_object_size(found) > 0;
    if (stage->secret) {
        g_autofree char *text = ingot_json_canonical(found);
        g_autofree char *keyed =
            g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guchar *)salt, strlen(salt), text, -1);
        json_object_set_new(stage->inputs, "a secret", json_string(keyed));
    }
}

static void add_form(PlanStage *stage, const json_t *public_step)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)public_step, name, value)
    {
        if (!is_about_caching(name)) {
            json_object_set(stage->inputs, name, value);
        }
    }
}

/* The files that the step reads, under the names that the recipe has for them. */
static gboolean add_files(PlanStage *stage, const Recipe *recipe, const json_t *public_step, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    step_kind(stage->step)->inputs(recipe, stage->step, paths);
    step_kind(stage->step)->inputs(recipe, public_step, names);
    g_autoptr(json_t) entries = json_object();
    for (guint i = 0; i < paths->len; i++) {
        if (!plan_tree_list(g_ptr_array_index(paths, i), g_ptr_array_index(names, i), entries, error)) {
            return FALSE;
        }
    }
    const char *name;
    json_t *value;
    json_object_foreach(entries, name, value)
    {
        g_autofree char *key = g_strconcat("file ", name, NULL);
        json_object_set(stage->inputs, key, value);
    }
    return TRUE;
}

static PlanKeep keep_of(const json_t *step)
{
    const char *word = json_string_value(json_object_get(step, "cache"));
    return g_strcmp0(word, "off") == 0    ? PLAN_KEEP_NOTHING
           : g_strcmp0(word, "disk") == 0 ? PLAN_KEEP_DISK
                                          : PLAN_KEEP_MEMORY;
}

/* All of it but what it depends on besides its form. */
static PlanStage *add_step(Plan *plan, json_t *step, const json_t *public_step)
{
    PlanStage *stage = add_stage(plan, step, step_title(public_step));
    stage->max_age = step_max_age(step);
    stage->keep = keep_of(step);
    stage->shutdown = json_is_true(json_object_get(step, "shutdown"));
    stage->offline = json_is_true(json_object_get(step, "offline"));
    add_form(stage, public_step);
    return stage;
}

static gboolean step_stage(Plan *plan, const Recipe *recipe, size_t i, const char *salt, GError **error)
{
    json_t *step = json_array_get(json_object_get(recipe->tree, "steps"), i);
    const json_t *public_step = json_array_get(json_object_get(recipe->public_tree, "steps"), i);
    const IngotDigest *parent = &plan_stage(plan, (guint)i)->key;
    PlanStage *stage = add_step(plan, step, public_step);
    add_secrets(stage, recipe, salt);
    if (!add_files(stage, recipe, public_step, error)) {
        return FALSE;
    }
    stage_key(stage, parent);
    return TRUE;
}

/* What the outputs need comes last: whatever the recipe's steps have done, it holds in the image. */
static void ready_stage(Plan *plan, const Recipe *recipe)
{
    g_autoptr(json_t) step = ready_step(json_object_get(recipe->tree, "outputs"));
    if (step != NULL) {
        const IngotDigest *parent = &plan_stage(plan, plan->stages->len - 1)->key;
        stage_key(add_step(plan, step, step), parent);
    }
}

/* --- the whole --- */

static void image_key(const Recipe *recipe, const IngotDigest *last, IngotDigest *key)
{
    static const char *const parts[] = {"name", "version", "description", "annotations", "seal", "tests"};
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    ingot_hasher_add(hasher, last->bytes, sizeof last->bytes);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        const json_t *part = json_object_get(recipe->public_tree, parts[i]);
        add_text(hasher, parts[i]);
        if (part != NULL) {
            add_json(hasher, part);
        }
    }
    add_text(hasher, INGOT_VERSION);
    ingot_hasher_finish(hasher, key);
}

Plan *plan_new(const Recipe *recipe, const char *source_key, const char *salt, GError **error)
{
    g_autoptr(Plan) plan = g_new0(Plan, 1);
    plan->stages = g_ptr_array_new_with_free_func(stage_free);
    first_stage(plan, recipe, source_key);
    for (size_t i = 0; i < json_array_size(json_object_get(recipe->tree, "steps")); i++) {
        if (!step_stage(plan, recipe, i, salt, error)) {
            return NULL;
        }
    }
    ready_stage(plan, recipe);
    image_key(recipe, &plan_stage(plan, plan->stages->len - 1)->key, &plan->image);
    return g_steal_pointer(&plan);
}

int plan_find(const Plan *plan, const char *text, GError **error)
{
    g_autoptr(GPtrArray) titles = g_ptr_array_new();
    guint64 number;
    if (g_ascii_string_to_unsigned(text, 10, 0, plan->stages->len - 1, &number, NULL)) {
        return (int)number;
    }
    for (guint i = plan->stages->len; i-- > 0;) { /* the first stage last: a step may have its title */
        if (strcmp(plan_stage(plan, i)->title, text) == 0) {
            return (int)i;
        }
        g_ptr_array_add(titles, plan_stage(plan, i)->title);
    }
    g_ptr_array_add(titles, NULL);
    g_autofree char *hint = ingot_text_suggestion(text, (const char *const *)titles->pdata);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%s' is no step of the recipe%s: a number from 1 to %u, or a "
                "step's name, is expected",
                text, hint, plan->stages->len - 1);
    return -1;
}

int plan_find_key(const Plan *plan, const IngotDigest *key)
{
    for (guint i = 0; i < plan->stages->len; i++) {
        if (ingot_digest_equal(&plan_stage(plan, i)->key, key)) {
            return (int)i;
        }
    }
    return -1;
}

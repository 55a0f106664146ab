#include "plan/plan.h"

#include <ingot/digest.h>
#include <string.h>

#include "plan/tree.h"
#include "step/step.h"

static void plan_step_free(gpointer data)
{
    PlanStep *step = data;
    g_free(step->title);
    g_free(step);
}

void plan_free(Plan *plan)
{
    if (plan != NULL) {
        g_ptr_array_unref(plan->steps);
        g_free(plan);
    }
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

/* Secrets' values change the keys, but a key must not help to guess them. */
static void add_secrets(IngotHasher *hasher, const Recipe *recipe, const char *salt)
{
    for (guint i = 0; i < recipe->secrets->len; i++) {
        g_autofree char *keyed = g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guchar *)salt, strlen(salt),
                                                           g_ptr_array_index(recipe->secrets, i), -1);
        add_text(hasher, keyed);
    }
}

static gboolean step_key(const Recipe *recipe, const json_t *step, const json_t *public_step, const IngotDigest *parent,
                         IngotDigest *key, GError **error)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    ingot_hasher_add(hasher, parent->bytes, sizeof parent->bytes);
    add_json(hasher, public_step);
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    step_kind(step)->inputs(recipe, step, paths);
    for (guint i = 0; i < paths->len; i++) {
        if (!plan_tree_add(hasher, g_ptr_array_index(paths, i), error)) {
            return FALSE;
        }
    }
    ingot_hasher_finish(hasher, key);
    return TRUE;
}

static void base_key(const Recipe *recipe, const char *source, IngotDigest *key)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    add_text(hasher, "ingot plan 1");
    add_text(hasher, source);
    add_json(hasher, json_object_get(recipe->public_tree, "machine"));
    add_secrets(hasher, recipe, source);
    ingot_hasher_finish(hasher, key);
}

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

Plan *plan_new(const Recipe *recipe, const char *source_key, GError **error)
{
    g_autoptr(Plan) plan = g_new0(Plan, 1);
    plan->steps = g_ptr_array_new_with_free_func(plan_step_free);
    base_key(recipe, source_key, &plan->base);
    const IngotDigest *parent = &plan->base;
    const json_t *steps = json_object_get(recipe->tree, "steps");
    const json_t *public_steps = json_object_get(recipe->public_tree, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        PlanStep *step = g_new0(PlanStep, 1);
        g_ptr_array_add(plan->steps, step);
        step->step = json_array_get(steps, i);
        step->title = step_title(json_array_get(public_steps, i));
        if (!step_key(recipe, step->step, json_array_get(public_steps, i), parent, &step->key, error)) {
            return NULL;
        }
        parent = &step->key;
    }
    image_key(recipe, parent, &plan->image);
    return g_steal_pointer(&plan);
}

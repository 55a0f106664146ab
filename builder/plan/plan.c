#include "plan/plan.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "plan/builder.h"

static void stage_free(gpointer data)
{
    PlanStage *stage = data;
    json_decref(stage->step);
    json_decref(stage->inputs);
    g_clear_pointer(&stage->files, g_ptr_array_unref);
    g_free(stage->title);
    g_free(stage->product);
    g_free(stage);
}

void plan_free(Plan *plan)
{
    if (plan != NULL) {
        g_ptr_array_unref(plan->stages);
        g_free(plan);
    }
}

PlanStage *plan_add(PlanBuilder *builder, const StageKind *kind, json_t *step, char *title)
{
    PlanStage *stage = g_new0(PlanStage, 1);
    stage->kind = kind;
    stage->step = json_incref(step);
    stage->title = title;
    stage->inputs = json_object();
    g_ptr_array_add(builder->plan->stages, stage);
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

void plan_set_key(PlanBuilder *builder, PlanStage *stage)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    add_text(hasher, "ingot plan 3");
    const GPtrArray *stages = builder->plan->stages;
    guint number;
    g_ptr_array_find((GPtrArray *)stages, stage, &number);
    if (number > 0) {
        const IngotDigest *before = &plan_stage(builder->plan, number - 1)->key;
        ingot_hasher_add(hasher, before->bytes, sizeof before->bytes);
    }
    add_json(hasher, stage->inputs);
    ingot_hasher_finish(hasher, &stage->key);
}

static void image_key(const Recipe *recipe, const IngotDigest *last, const char *salt, IngotDigest *key)
{
    static const char *const parts[] = {"name", "version", "description", "annotations", "seal", "evidence", "tests"};
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    g_autoptr(json_t) secrets = json_object();
    ingot_hasher_add(hasher, last->bytes, sizeof last->bytes);
    for (guint i = 0; i < G_N_ELEMENTS(parts); i++) {
        plan_find_secrets(recipe, parts[i], json_object_get(recipe->tree, parts[i]), secrets);
        const json_t *part = json_object_get(recipe->public_tree, parts[i]);
        add_text(hasher, parts[i]);
        if (part != NULL) {
            add_json(hasher, part);
        }
    }
    /* The image says by which name its base was asked for. */
    const char *reference =
        json_string_value(json_object_get(json_object_get(recipe->public_tree, "source"), "reference"));
    add_text(hasher, reference == NULL ? "" : reference);
    if (recipe->image != NULL) {
        add_text(hasher, recipe->image); /* the image says that as well */
    }
    if (recipe->required != NULL) {
        add_json(hasher, recipe->required);
    }
    g_autofree char *keyed = plan_keyed_secrets(secrets, salt);
    add_text(hasher, keyed == NULL ? "" : keyed);
    add_text(hasher, INGOT_VERSION);
    ingot_hasher_finish(hasher, key);
}

Plan *plan_new(const Recipe *recipe, const char *source_key, const char *salt, GError **error)
{
    g_autoptr(Plan) plan = g_new0(Plan, 1);
    plan->stages = g_ptr_array_new_with_free_func(stage_free);
    PlanBuilder builder = {.plan = plan, .recipe = recipe, .source_key = source_key, .salt = salt};
    for (guint i = 0; stage_kinds[i] != NULL; i++) {
        if (!stage_kinds[i]->add(&builder, error)) {
            return NULL;
        }
    }
    image_key(recipe, &plan_stage(plan, plan->stages->len - 1)->key, salt, &plan->image);
    return g_steal_pointer(&plan);
}

static void add_titled(const Plan *plan, const char *text, gboolean steps, GArray *found)
{
    for (guint i = 0; i < plan->stages->len; i++) {
        const PlanStage *stage = plan_stage(plan, i);
        if ((strcmp(stage->kind->name, "step") == 0) == steps && strcmp(stage->title, text) == 0) {
            g_array_append_val(found, i);
        }
    }
}

/* The stages that a text may mean: by its number, and by its title. A step may have the title of a stage that no person
 * has named: of the boot, or of the outputs. */
static GArray *stages_of(const Plan *plan, const char *text, gboolean *numbered)
{
    GArray *found = g_array_new(FALSE, FALSE, sizeof(guint));
    guint64 number;
    add_titled(plan, text, TRUE, found);
    *numbered = g_ascii_string_to_unsigned(text, 10, 0, plan->stages->len - 1, &number, NULL);
    guint stage = *numbered ? (guint)number : 0;
    if (*numbered && (found->len != 1 || g_array_index(found, guint, 0) != stage)) {
        g_array_prepend_val(found, stage);
    }
    if (found->len == 0) {
        add_titled(plan, text, FALSE, found);
    }
    return found;
}

static void refuse_ambiguous(const char *text, const GArray *found, gboolean numbered, GError **error)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; i < found->len; i++) {
        g_string_append_printf(list, "%s%u",
                               i == 0                ? ""
                               : i + 1 == found->len ? " and "
                                                     : ", ",
                               g_array_index(found, guint, i));
    }
    if (numbered) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "'%s' is the number of one step and the name of another (steps %s); give that one another name",
                    text, list->str);
    } else {
        g_autofree char *count = found->len == 2 ? g_strdup("two") : g_strdup_printf("%u", found->len);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s steps are named '%s': %s; use the number", count, text,
                    list->str);
    }
}

static void refuse_unknown(const Plan *plan, const char *text, GError **error)
{
    g_autoptr(GPtrArray) titles = g_ptr_array_new();
    for (guint i = plan->stages->len; i-- > 0;) {
        g_ptr_array_add(titles, plan_stage(plan, i)->title);
    }
    g_ptr_array_add(titles, NULL);
    g_autofree char *hint = ingot_text_suggestion(text, (const char *const *)titles->pdata);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "'%s' is no step of the recipe%s: a number from 1 to %u, or a "
                "step's name, is expected",
                text, hint, plan->stages->len - 1);
}

int plan_find(const Plan *plan, const char *text, GError **error)
{
    gboolean numbered;
    g_autoptr(GArray) found = stages_of(plan, text, &numbered);
    if (found->len == 1) {
        return (int)g_array_index(found, guint, 0);
    }
    if (found->len > 1) {
        refuse_ambiguous(text, found, numbered, error);
    } else {
        refuse_unknown(plan, text, error);
    }
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

gboolean plan_leads_on(const Plan *plan, guint stage)
{
    return plan_stage(plan, stage)->step != NULL ||
           (stage + 1 < plan->stages->len && !plan_stage(plan, stage + 1)->offline);
}

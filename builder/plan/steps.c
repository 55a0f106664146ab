/* What the key of a step's stage holds. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "plan/builder.h"
#include "plan/inputs.h"
#include "step/step.h"

#define FILE_PREFIX "file " /* of an input's name */

/* Does not change what a step does. */
static gboolean is_about_caching(const char *key)
{
    static const char *const words[] = {"name", "max_age", "cache", NULL};
    return g_strv_contains(words, key);
}

void plan_find_secrets(const Recipe *recipe, const char *place, const json_t *value, json_t *found)
{
    const char *name;
    json_t *item;
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        g_autofree char *inner = g_strdup_printf("%s/%zu", place, i);
        plan_find_secrets(recipe, inner, json_array_get(value, i), found);
    }
    json_object_foreach((json_t *)value, name, item)
    {
        g_autofree char *inner = g_strconcat(place, "/", name, NULL);
        plan_find_secrets(recipe, inner, item, found);
    }
    if (json_is_string(value)) {
        g_autofree char *masked = recipe_mask(recipe, json_string_value(value));
        if (strcmp(masked, json_string_value(value)) != 0) {
            json_object_set(found, place, (json_t *)value);
        }
    }
}

char *plan_keyed_secrets(const json_t *found, const char *salt)
{
    if (json_object_size(found) == 0) {
        return NULL;
    }
    g_autofree char *text = ingot_json_canonical(found);
    return g_compute_hmac_for_string(G_CHECKSUM_SHA256, (const guchar *)salt, strlen(salt), text, -1);
}

static void add_secrets(PlanStage *stage, const Recipe *recipe, const char *salt)
{
    g_autoptr(json_t) found = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)stage->step, name, value)
    {
        if (!is_about_caching(name)) {
            plan_find_secrets(recipe, name, value, found);
        }
    }
    g_autofree char *keyed = plan_keyed_secrets(found, salt);
    stage->secret = keyed != NULL;
    ingot_json_set_string(stage->inputs, "a secret", keyed);
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

/* "file NAME": every file that the step reads, under the name that the recipe has for it. NULL: an error. */
static json_t *list_files(const PlanStage *stage, GError **error)
{
    g_autoptr(json_t) entries = json_object();
    for (guint i = 0; stage->files != NULL && i < stage->files->len; i++) {
        const StepInput *input = g_ptr_array_index(stage->files, i);
        if (!plan_inputs_list(input->path, input->name, entries, error)) {
            return NULL;
        }
    }
    json_t *files = json_object();
    const char *name;
    json_t *value;
    json_object_foreach(entries, name, value)
    {
        g_autofree char *key = g_strconcat(FILE_PREFIX, name, NULL);
        json_object_set(files, key, value);
    }
    return files;
}

static gboolean add_files(PlanStage *stage, const json_t *public_step, GError **error)
{
    stage->files = step_inputs(stage->step, public_step);
    g_autoptr(json_t) files = list_files(stage, error);
    return files != NULL && json_object_update(stage->inputs, files) == 0;
}

/* The first file of one list that the other has not, or has with another content; NULL: there is none. */
static const char *other_file(const json_t *list, const json_t *other)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)list, name, value)
    {
        if (g_str_has_prefix(name, FILE_PREFIX) && !json_equal(value, json_object_get(other, name))) {
            return name + strlen(FILE_PREFIX);
        }
    }
    return NULL;
}

gboolean plan_check_files(const PlanStage *stage, GError **error)
{
    g_autoptr(json_t) files = list_files(stage, error);
    if (files == NULL) {
        return FALSE;
    }
    const char *changed = other_file(stage->inputs, files);
    changed = changed != NULL ? changed : other_file(files, stage->inputs);
    if (changed != NULL) {
        g_set_error(
            error, INGOT_ERROR, INGOT_ERROR_FAILED,
            "%s changed while the build ran; build again. (A file that the build itself writes, a log say, must "
            "not lie in a folder that a step reads.)",
            changed);
    }
    return changed == NULL;
}

static PlanKeep keep_of(const json_t *step)
{
    const char *word = json_string_value(json_object_get(step, "cache"));
    return g_strcmp0(word, "off") == 0    ? PLAN_KEEP_NOTHING
           : g_strcmp0(word, "disk") == 0 ? PLAN_KEEP_DISK
                                          : PLAN_KEEP_MEMORY;
}

PlanStage *plan_add_step(PlanBuilder *builder, const StageKind *kind, json_t *step, const json_t *public_step)
{
    PlanStage *stage = plan_add(builder, kind, step, step_title(public_step));
    stage->max_age = step_max_age(step);
    stage->product = g_strdup(step_product(step));
    stage->keep = keep_of(step);
    stage->shutdown = json_is_true(json_object_get(step, "shutdown"));
    stage->offline = json_is_true(json_object_get(step, "offline"));
    add_form(stage, public_step);
    return stage;
}

gboolean plan_step_inputs(PlanBuilder *builder, PlanStage *stage, const json_t *public_step, GError **error)
{
    add_secrets(stage, builder->recipe, builder->salt);
    return add_files(stage, public_step, error);
}

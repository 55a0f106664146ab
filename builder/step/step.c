#include "step/step.h"

#include <string.h>

#include "base/text.h"
#include "step/kinds.h"

#define TITLE_MOST 60 /* bytes */

#define ENTRY(name) &step_##name,
static const StepKind *const kinds[] = {RECIPE_STEPS(ENTRY) & step_ready};
#undef ENTRY

const StepKind *step_kind(const json_t *step)
{
    const char *kind = json_string_value(json_object_get(step, "kind"));
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_strcmp0(kinds[i]->kind, kind) == 0) {
            return kinds[i];
        }
    }
    g_assert_not_reached(); /* the recipe's check lets no other kind pass */
}

char *step_title(const json_t *step)
{
    const StepKind *kind = step_kind(step);
    const char *name = json_string_value(json_object_get(step, "name"));
    g_autofree char *text = name != NULL          ? g_strdup(name)
                            : kind->title != NULL ? kind->title(step)
                                                  : g_strdup(kind->kind);
    const char *start = text + strspn(text, " \n");
    g_autofree char *line = g_strndup(start, strcspn(start, "\n"));
    if (strlen(line) <= TITLE_MOST) {
        return ingot_text_head(line, TITLE_MOST);
    }
    g_autofree char *head = ingot_text_head(line, TITLE_MOST - strlen("…"));
    return g_strconcat(head, "…", NULL);
}

static void step_input_free(gpointer data)
{
    StepInput *input = data;
    g_free(input->path);
    g_free(input->name);
    g_free(input);
}

void step_input_add(GPtrArray *inputs, const char *path, const char *name)
{
    StepInput *input = g_new0(StepInput, 1);
    input->path = g_strdup(path);
    input->name = g_strdup(name);
    g_ptr_array_add(inputs, input);
}

GPtrArray *step_inputs(const json_t *step, const json_t *shown)
{
    GPtrArray *inputs = g_ptr_array_new_with_free_func(step_input_free);
    const StepKind *kind = step_kind(step);
    if (kind->inputs != NULL) {
        kind->inputs(step, shown, inputs);
    }
    return inputs;
}

guint64 step_max_age(const json_t *step)
{
    const json_t *own = json_object_get(step, "max_age");
    const StepKind *kind = step_kind(step);
    return own != NULL ? (guint64)json_integer_value(own) : kind->max_age != NULL ? kind->max_age(step) : 0;
}

const char *step_product(const json_t *step)
{
    const StepKind *kind = step_kind(step);
    return kind->product == NULL ? NULL : kind->product(step);
}

#include "step/step.h"

#include <ingot/text.h>
#include <string.h>

#include "step/kinds.h"

#define TITLE_MOST 60 /* bytes */

static const StepKind *const kinds[] = {&step_shell, &step_file, &step_ready};

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
    static const char *const keys[] = {"name", "script", "path", "from"};
    const char *text = NULL;
    for (guint i = 0; i < G_N_ELEMENTS(keys) && text == NULL; i++) {
        text = json_string_value(json_object_get(step, keys[i]));
    }
    text = text == NULL ? step_kind(step)->kind : text + strspn(text, " \n");
    gsize length = strcspn(text, "\n");
    if (length <= TITLE_MOST) {
        return ingot_text_head(text, length);
    }
    g_autofree char *head = ingot_text_head(text, TITLE_MOST - strlen("…"));
    return g_strconcat(head, "…", NULL);
}

guint64 step_max_age(const json_t *step)
{
    const json_t *own = json_object_get(step, "max_age");
    const StepKind *kind = step_kind(step);
    return own != NULL ? (guint64)json_integer_value(own) : kind->max_age != NULL ? kind->max_age(step) : 0;
}

gboolean step_run(const StepContext *context, const json_t *step, GError **error)
{
    return step_kind(step)->run(context, step, error);
}

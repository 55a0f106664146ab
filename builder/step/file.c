/* file: a file or a tree into the machine or out of it. */
#include <string.h>

#include "step/kinds.h"

static const char *text_of(const json_t *step, const char *key)
{
    return json_string_value(json_object_get(step, key));
}

static gboolean goes_up(const json_t *step)
{
    return g_strcmp0(text_of(step, "direction"), "down") != 0;
}

static gboolean run(const StepContext *context, const json_t *step, GError **error)
{
    const char *from = text_of(step, "from"), *to = text_of(step, "to"), *mode = text_of(step, "mode");
    if (!goes_up(step)) {
        return guest_download(context->guest, from, to, error);
    }
    return guest_upload(context->guest, from, to, mode == NULL ? -1 : (int)g_ascii_strtoull(mode, NULL, 8),
                        text_of(step, "owner"), error);
}

static void inputs(const Recipe *recipe, const json_t *step, GPtrArray *paths)
{
    (void)recipe;
    if (goes_up(step)) {
        g_ptr_array_add(paths, g_strdup(text_of(step, "from")));
    }
}

static const char *product(const json_t *step)
{
    return goes_up(step) ? NULL : text_of(step, "to");
}

const StepKind step_file = {.kind = "file", .run = run, .inputs = inputs, .product = product};

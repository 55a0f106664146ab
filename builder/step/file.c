/* file: a file or a tree into the machine or out of it. */
#include <string.h>

#include "step/context.h"
#include "step/kinds.h"
#include "step/offline.h"

static const char *text_of(const json_t *step, const char *key)
{
    return json_string_value(json_object_get(step, key));
}

static gboolean goes_up(const json_t *step)
{
    return g_strcmp0(text_of(step, "direction"), "down") != 0;
}

static gboolean file_run(StepContext *context, const json_t *step, GError **error)
{
    const char *from = text_of(step, "from"), *to = text_of(step, "to"), *mode = text_of(step, "mode");
    if (!goes_up(step)) {
        return guest_download(context->guest, from, to, error);
    }
    return guest_upload(context->guest, from, to, mode == NULL ? -1 : (int)g_ascii_strtoull(mode, NULL, 8),
                        text_of(step, "owner"), error);
}

static char *file_title(const json_t *step)
{
    return g_strdup(text_of(step, "from"));
}

static void file_inputs(const json_t *step, const json_t *shown, GPtrArray *inputs)
{
    if (goes_up(step)) {
        step_input_add(inputs, text_of(step, "from"), text_of(shown, "from"));
    }
}

static const char *file_product(const json_t *step)
{
    return goes_up(step) ? NULL : text_of(step, "to");
}

const StepKind step_file = {.kind = "file",
                            .title = file_title,
                            .inputs = file_inputs,
                            .product = file_product,
                            .run = file_run,
                            .run_offline = offline_file};

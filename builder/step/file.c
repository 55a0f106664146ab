/* file: a file or a tree into the machine or out of it. */
#include <string.h>

#include "step/context.h"
#include "step/kinds.h"
#include "step/offline.h"
#include "step/upload.h"

static const char *text_of(const json_t *step, const char *key)
{
    return json_string_value(json_object_get(step, key));
}

static gboolean goes_up(const json_t *step)
{
    return g_strcmp0(text_of(step, "direction"), "down") != 0;
}

static gboolean file_upload(const StepContext *context, const json_t *step, GError **error)
{
    const char *mode = text_of(step, "mode");
    UploadOptions options = {.from = text_of(step, "from"),
                             .to = text_of(step, "to"),
                             .mode = mode == NULL ? -1 : (int)g_ascii_strtoull(mode, NULL, 8),
                             .owner = text_of(step, "owner")};
    g_autoptr(Upload) upload = step_upload_new(&options, error);
    return upload != NULL && guest_put(context->guest, upload->script, upload->tar, upload->size, options.from, error);
}

static gboolean file_run(StepContext *context, const json_t *step, GError **error)
{
    return goes_up(step) ? file_upload(context, step, error)
                         : guest_download(context->guest, text_of(step, "from"), text_of(step, "to"), step_take_line,
                                          context, error);
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
                            .run_offline = offline_run};

/* file: a file or a tree into the machine or out of it. */
#include <string.h>

#include "recipe/rows.h"
#include "recipe/rules.h"
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
                         : guest_download(context->guest, text_of(step, "from"), text_of(step, "to"), context->made,
                                          step_take_line, context, error);
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

static const Key transfer_keys[] = {
    {.name = "from",
     .help = "The file or folder to copy: here on the way up, in the machine on the way down.",
     .kind = KIND_STRING,
     .required = TRUE},
    {.name = "to",
     .help = "Where it goes: in the machine on the way up, here on the way down.",
     .kind = KIND_STRING,
     .required = TRUE},
    {.name = "direction",
     .help = "Into the machine or out of it.",
     .kind = KIND_WORD,
     .words = WORDS("up", "down"),
     .fallback = "up"},
    {.name = "mode", .help = "The mode of each file, octal; as it is here if it is left out.", .kind = KIND_MODE},
    {.name = "owner",
     .help = "Its owner as user:group; root:root if it is left out.",
     .kind = KIND_STRING,
     .pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$",
     .hint = "user:group"},
    END,
};
static const Shape transfer_shape = {
    .name = "transfer", .help = "What to copy where.", .keys = transfer_keys, .rule = rule_transfer};

static const Key step_file_keys[] = {
    STEP_COMMON,
    {.name = "file", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &transfer_shape},
    END,
};
static const Shape step_file_shape = {
    .name = "stepFile", .help = "Copies a file or a folder's content.", .keys = step_file_keys, .rule = rule_step};
const Variant recipe_step_file = {"file", "file", &step_file_shape};

const StepKind step_file = {.kind = "file",
                            .title = file_title,
                            .inputs = file_inputs,
                            .product = file_product,
                            .run = file_run,
                            .run_offline = offline_run};

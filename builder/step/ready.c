/* ready: the last step of a recipe with outputs, which ready/ready.h makes. */
#include <ingot/error.h>
#include <string.h>

#include "ready/ready.h"
#include "step/context.h"
#include "step/kinds.h"

typedef struct {
    StepContext *context;
    char *missing; /* what the script ended with, or NULL */
} Output;

static void take_line(const char *line, gpointer user)
{
    Output *output = user;
    if (g_str_has_prefix(line, READY_WORD)) {
        g_free(output->missing);
        output->missing = g_strdup(line + strlen(READY_WORD));
    } else {
        step_line(output->context, line);
    }
}

static gboolean ready_run(StepContext *context, const json_t *step, GError **error)
{
    Output output = {.context = context};
    GuestCommand command = {
        .script = json_string_value(json_object_get(step, "script")),
        .seconds = (guint)json_integer_value(json_object_get(step, "timeout")),
        .line = take_line,
        .user_data = &output,
    };
    int status;
    gboolean ran = guest_run(context->guest, &command, &status, error);
    g_autofree char *missing = output.missing;
    if (ran && status != 0) {
        g_autofree char *number = g_strdup_printf("exit status %d", status);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s", missing == NULL ? number : missing);
    }
    return ran && status == 0;
}

const StepKind step_ready = {.kind = "ready", .run = ready_run};

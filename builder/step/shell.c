/* shell: a script, inline or from a file, run in the machine. */
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>

#include "step/kinds.h"

#define SCRIPT_MAX (16u << 20)        /* bytes */
#define PACKAGES_MAX_AGE (24 * 3600u) /* seconds */

static char **environment_of(const json_t *step)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(step, "env"), key, value)
    {
        g_autofree char *pair = g_strdup_printf("%s=%s", key, json_string_value(value));
        g_strv_builder_add(builder, pair);
    }
    return g_strv_builder_end(builder);
}

gboolean step_shell_expected(const json_t *step, int status, GError **error)
{
    const json_t *expect = json_object_get(step, "expect");
    for (size_t i = 0; i < json_array_size(expect); i++) {
        if (json_integer_value(json_array_get(expect, i)) == status) {
            return TRUE;
        }
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "exit status %d", status);
    return FALSE;
}

gboolean step_shell_script(const json_t *step, char **script, gsize *size, GError **error)
{
    const char *text = json_string_value(json_object_get(step, "script"));
    if (text != NULL) {
        *script = g_strdup(text);
        *size = strlen(text);
        return TRUE;
    }
    g_autoptr(GBytes) bytes = ingot_file_read(json_string_value(json_object_get(step, "path")), SCRIPT_MAX, error);
    if (bytes == NULL) {
        return FALSE;
    }
    *size = g_bytes_get_size(bytes);
    *script = g_malloc0(*size + 1);
    memcpy(*script, g_bytes_get_data(bytes, NULL), *size);
    return TRUE;
}

static gboolean run(const StepContext *context, const json_t *step, GError **error)
{
    g_autofree char *script = NULL;
    GuestCommand command = {
        .user = json_string_value(json_object_get(step, "user")),
        .workdir = json_string_value(json_object_get(step, "workdir")),
        .seconds = (guint)json_integer_value(json_object_get(step, "timeout")),
        .line = context->line,
        .user_data = context->user_data,
    };
    if (!step_shell_script(step, &script, &command.script_size, error)) {
        return FALSE;
    }
    command.script = script;
    g_auto(GStrv) environment = environment_of(step);
    command.environment = (const char *const *)environment;
    int status;
    return guest_run(context->guest, &command, &status, error) && step_shell_expected(step, status, error);
}

static void inputs(const Recipe *recipe, const json_t *step, GPtrArray *paths)
{
    (void)recipe;
    const char *path = json_string_value(json_object_get(step, "path"));
    if (path != NULL) {
        g_ptr_array_add(paths, g_strdup(path));
    }
}

/* What a package manager gives changes from day to day. */
static guint64 max_age(const json_t *step)
{
    static const char managers[] = "(^|[^[:alnum:]_.-])(apt|apt-get|aptitude|dnf|microdnf|yum|zypper|pacman|apk|snap|"
                                   "flatpak|pip|pip3|npm|gem)[[:space:]]";
    g_autofree char *text = NULL;
    gsize size;
    if (!step_shell_script(step, &text, &size, NULL)) {
        return 0;
    }
    return g_regex_match_simple(managers, text, G_REGEX_RAW, 0) ? PACKAGES_MAX_AGE : 0;
}

const StepKind step_shell = {.kind = "shell", .run = run, .inputs = inputs, .max_age = max_age};

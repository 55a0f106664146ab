/* shell: a script, inline or from a file, run in the machine. */
#include <ingot/error.h>
#include <ingot/file.h>

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

static gboolean expected(const json_t *step, int status)
{
    const json_t *expect = json_object_get(step, "expect");
    for (size_t i = 0; i < json_array_size(expect); i++) {
        if (json_integer_value(json_array_get(expect, i)) == status) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean run(const StepContext *context, const json_t *step, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    GuestCommand command = {
        .script = json_string_value(json_object_get(step, "script")),
        .user = json_string_value(json_object_get(step, "user")),
        .workdir = json_string_value(json_object_get(step, "workdir")),
        .seconds = (guint)json_integer_value(json_object_get(step, "timeout")),
        .line = context->line,
        .user_data = context->user_data,
    };
    if (command.script == NULL) {
        bytes = ingot_file_read(json_string_value(json_object_get(step, "path")), SCRIPT_MAX, error);
        if (bytes == NULL) {
            return FALSE;
        }
        command.script = g_bytes_get_data(bytes, &command.script_size);
    }
    g_auto(GStrv) environment = environment_of(step);
    command.environment = (const char *const *)environment;
    int status;
    if (!guest_run(context->guest, &command, &status, error)) {
        return FALSE;
    }
    if (!expected(step, status)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "exit status %d", status);
        return FALSE;
    }
    return TRUE;
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
    const char *path = json_string_value(json_object_get(step, "path"));
    g_autofree char *text = g_strdup(json_string_value(json_object_get(step, "script")));
    if (text == NULL && !g_file_get_contents(path, &text, NULL, NULL)) {
        return 0;
    }
    return g_regex_match_simple(managers, text, G_REGEX_RAW, 0) ? PACKAGES_MAX_AGE : 0;
}

const StepKind step_shell = {.kind = "shell", .run = run, .inputs = inputs, .max_age = max_age};

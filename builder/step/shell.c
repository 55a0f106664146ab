/* shell and script: a script, inline or from a file, run in the machine. */
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "recipe/rows.h"
#include "recipe/rules.h"
#include "step/context.h"
#include "step/kinds.h"
#include "step/offline.h"

#define SCRIPT_MAX (16u << 20)        /* bytes */
#define PACKAGES_MAX_AGE (24 * 3600u) /* seconds */

/* The host's proxies, then what the step says itself. */
static char **environment_of(const StepContext *context, const json_t *step)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_strv_builder_addv(builder, (const char **)context->environment);
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(step, "env"), key, value)
    {
        g_autofree char *pair = g_strdup_printf("%s=%s", key, json_string_value(value));
        g_strv_builder_add(builder, pair);
    }
    return g_strv_builder_end(builder);
}

static gboolean shell_expected(const json_t *step, int status, GError **error)
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

/* The script's bytes (free them; a NUL follows). */
static gboolean shell_script(const json_t *step, char **script, gsize *size, GError **error)
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

static gboolean shell_run(StepContext *context, const json_t *step, GError **error)
{
    g_autofree char *script = NULL;
    GuestCommand command = {
        .user = json_string_value(json_object_get(step, "user")),
        .workdir = json_string_value(json_object_get(step, "workdir")),
        .seconds = (guint)json_integer_value(json_object_get(step, "timeout")),
        .line = step_take_line,
        .user_data = context,
    };
    if (!shell_script(step, &script, &command.script_size, error)) {
        return FALSE;
    }
    command.script = script;
    g_auto(GStrv) environment = environment_of(context, step);
    command.environment = (const char *const *)environment;
    int status;
    return guest_run(context->guest, &command, &status, error) && shell_expected(step, status, error);
}

static char *shell_title(const json_t *step)
{
    const char *text = json_string_value(json_object_get(step, "script"));
    return g_strdup(text != NULL ? text : json_string_value(json_object_get(step, "path")));
}

static void shell_inputs(const json_t *step, const json_t *shown, GPtrArray *inputs)
{
    const char *path = json_string_value(json_object_get(step, "path"));
    if (path != NULL) {
        step_input_add(inputs, path, json_string_value(json_object_get(shown, "path")));
    }
}

/* What a package manager gives changes from day to day. */
static guint64 shell_max_age(const json_t *step)
{
    static const char managers[] = "(^|[^[:alnum:]_.-])(apt|apt-get|aptitude|dnf|microdnf|yum|zypper|pacman|apk|snap|"
                                   "flatpak|pip|pip3|npm|gem)[[:space:]]";
    g_autofree char *text = NULL;
    gsize size;
    if (!shell_script(step, &text, &size, NULL)) {
        return 0;
    }
    return g_regex_match_simple(managers, text, G_REGEX_RAW, 0) ? PACKAGES_MAX_AGE : 0;
}

static const Key step_shell_keys[] = {
    STEP_COMMON,
    {.name = "shell",
     .help = "The text. ${name} is replaced for declared variables only; all else is the shell's.",
     .kind = KIND_SCRIPT,
     .required = TRUE,
     .as = "script"},
    STEP_RUN,
    END,
};
static const Shape step_shell_shape = {.name = "stepShell",
                                       .help = "Runs a text by the shell in the machine.",
                                       .keys = step_shell_keys,
                                       .rule = rule_step};
const Variant recipe_step_shell = {"shell", "shell", &step_shell_shape};

static const Key step_script_keys[] = {
    STEP_COMMON,
    {.name = "script",
     .help = "The script's file, relative to the recipe's folder.",
     .kind = KIND_HOST_PATH,
     .required = TRUE,
     .most = SCRIPT_MAX,
     .as = "path"},
    STEP_RUN,
    END,
};
static const Shape step_script_shape = {.name = "stepScript",
                                        .help = "Runs a script of this host in the machine.",
                                        .keys = step_script_keys,
                                        .rule = rule_step};
const Variant recipe_step_script = {"script", "shell", &step_script_shape};

const StepKind step_shell = {.kind = "shell",
                             .title = shell_title,
                             .inputs = shell_inputs,
                             .max_age = shell_max_age,
                             .run = shell_run,
                             .run_offline = offline_run};
const StepKind step_script = {.kind = "shell",
                              .title = shell_title,
                              .inputs = shell_inputs,
                              .max_age = shell_max_age,
                              .run = shell_run,
                              .run_offline = offline_run};

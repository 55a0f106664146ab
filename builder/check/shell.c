/* The shell test: a script in the machine. */
#include <string.h>

#include "check/kinds.h"
#include "recipe/rows.h"
#include "recipe/rules.h"

static const Key test_shell_keys[] = {
    NAME,
    {.name = "shell",
     .help = "The text. ${name} is replaced for declared variables only; all else is the shell's.",
     .kind = KIND_SCRIPT,
     .required = TRUE,
     .as = "script"},
    EXPECT,
    RUN_AS,
    TEST_TIMEOUT,
    END,
};
static const Shape test_shell_shape = {
    .name = "testShell", .help = "A text that the shell runs with success.", .keys = test_shell_keys};
const Variant recipe_test_shell = {"shell", "shell", &test_shell_shape};

static gboolean shell_run(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    int status = 0;
    g_autofree char *output = NULL;
    if (!check_script(context, test, check_text(test, "script"), &status, &output, error)) {
        return FALSE;
    }
    const json_t *expect = json_object_get(test, "expect");
    for (size_t i = 0; i < json_array_size(expect); i++) {
        if (json_integer_value(json_array_get(expect, i)) == status) {
            return TRUE;
        }
    }
    *reason = g_strdup_printf("exit status %d%s%s", status, *output == '\0' ? "" : ": ", output);
    return FALSE;
}

static char *shell_title(const json_t *test)
{
    const char *script = check_text(test, "script");
    return g_strdup_printf("shell %.*s", (int)strcspn(script, "\n"), script);
}

const CheckKind check_shell = {.kind = "shell", .run = shell_run, .title = shell_title};

/* The file test: whether it is there, its mode, its content. */
#include "check/kinds.h"

#include <string.h>

#include "recipe/rows.h"
#include "recipe/rules.h"

static const Key content_keys[] = {
    {.name = "path",
     .help = "The file.",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = ABSOLUTE,
     .hint = ABSOLUTE_HINT},
    {.name = "exists", .help = "Whether it is there.", .kind = KIND_BOOLEAN, .fallback = "true"},
    {.name = "mode", .help = "Its mode, octal.", .kind = KIND_MODE},
    {.name = "content", .help = "A regular expression that its content matches.", .kind = KIND_REGEX},
    END,
};
static const Shape content_shape = {
    .name = "content", .help = "What the file is like.", .keys = content_keys, .rule = rule_content};

static const Key test_file_keys[] = {
    NAME,
    {.name = "file", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &content_shape},
    TEST_TIMEOUT,
    END,
};
static const Shape test_file_shape = {.name = "testFile", .help = "A file of the machine.", .keys = test_file_keys};
const Variant recipe_test_file = {"file", "file", &test_file_shape};

static gboolean file_mode(const CheckContext *context, const json_t *test, const char *quoted, char **reason,
                          GError **error)
{
    const char *wanted = check_text(test, "mode");
    if (wanted == NULL) {
        return TRUE;
    }
    g_autofree char *script = g_strdup_printf("stat -L -c %%a -- %s", quoted);
    g_autofree char *mode = NULL;
    if (!guest_script(context->guest, script, &mode, error)) {
        return FALSE;
    }
    if (g_ascii_strtoull(mode, NULL, 8) != g_ascii_strtoull(wanted, NULL, 8)) {
        *reason = g_strdup_printf("mode %s, not %s", g_strstrip(mode), wanted);
        return FALSE;
    }
    return TRUE;
}

static gboolean file_content(const CheckContext *context, const json_t *test, const char *quoted, char **reason,
                             GError **error)
{
    const char *pattern = check_text(test, "content");
    if (pattern == NULL) {
        return TRUE;
    }
    /* A pipe or a device would be read for ever. */
    g_autofree char *script = g_strdup_printf("[ ! -f %s ] || head -c 1048576 -- %s", quoted, quoted);
    g_autofree char *content = NULL;
    if (!guest_script(context->guest, script, &content, error)) {
        return FALSE;
    }
    if (!check_matches(pattern, content, strlen(content))) {
        *reason = g_strdup_printf("its content does not match '%s'", pattern);
        return FALSE;
    }
    return TRUE;
}

static gboolean file_run(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    g_autofree char *quoted = g_shell_quote(check_text(test, "path"));
    gboolean wanted = !json_is_false(json_object_get(test, "exists"));
    /* A link to nothing is neither a file that is there nor nothing. */
    g_autofree char *script =
        wanted ? g_strdup_printf("[ -e %s ]", quoted) : g_strdup_printf("[ -e %s ] || [ -L %s ]", quoted, quoted);
    int status = 0;
    g_autofree char *output = NULL;
    if (!check_script(context, test, script, &status, &output, error)) {
        return FALSE;
    }
    if ((status == 0) != wanted) {
        *reason = g_strdup(wanted ? "is not there" : "is there");
        return FALSE;
    }
    return !wanted ||
           (file_mode(context, test, quoted, reason, error) && file_content(context, test, quoted, reason, error));
}

static char *file_title(const json_t *test)
{
    return g_strdup_printf("file %s", check_text(test, "path"));
}

const CheckKind check_file = {.kind = "file", .run = file_run, .title = file_title};

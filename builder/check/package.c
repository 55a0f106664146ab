/* The package test: dpkg or rpm know it. */
#include "check/kinds.h"
#include "recipe/rows.h"
#include "recipe/rules.h"

static const Key test_package_keys[] = {
    NAME,
    {.name = "package",
     .help = "The package.",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = PACKAGE,
     .hint = PACKAGE_HINT},
    TEST_TIMEOUT,
    END,
};
static const Shape test_package_shape = {
    .name = "testPackage", .help = "A package that is installed.", .keys = test_package_keys};
const Variant recipe_test_package = {"package", "package", &test_package_shape};

static gboolean package_run(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    const char *name = check_text(test, "package");
    g_autofree char *quoted = g_shell_quote(name);
    g_autofree char *script =
        g_strdup_printf("if command -v dpkg-query >/dev/null; then\n"
                        "    dpkg-query -W -f '${db:Status-Status}\\n' %s 2>/dev/null | grep -qx installed\n"
                        "else\n"
                        "    rpm -q %s >/dev/null\n"
                        "fi\n",
                        quoted, quoted);
    int status = 0;
    g_autofree char *output = NULL;
    if (!check_script(context, test, script, &status, &output, error)) {
        return FALSE;
    }
    if (status != 0) {
        *reason = g_strdup("not installed");
    }
    return status == 0;
}

static char *package_title(const json_t *test)
{
    return g_strdup_printf("package %s", check_text(test, "package"));
}

const CheckKind check_package = {.kind = "package", .run = package_run, .title = package_title};

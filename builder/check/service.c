/* The service test: a systemd unit that is, or becomes, active. */
#include "check/kinds.h"
#include "recipe/rows.h"
#include "recipe/rules.h"

static const Key test_service_keys[] = {
    NAME,
    {.name = "service",
     .help = "The unit.",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[A-Za-z0-9@:._\\\\-]+$",
     .hint = "a systemd unit's name"},
    TEST_TIMEOUT,
    END,
};
static const Shape test_service_shape = {
    .name = "testService", .help = "A systemd unit that is active.", .keys = test_service_keys};
const Variant recipe_test_service = {"service", "service", &test_service_shape};

static gboolean service_run(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    g_autofree char *quoted = g_shell_quote(check_text(test, "service"));
    g_autofree char *condition = g_strdup_printf("systemctl is-active --quiet %s", quoted);
    gboolean active = FALSE;
    if (!check_wait(context, test, condition, &active, error)) {
        return FALSE;
    }
    if (!active) {
        g_autofree char *ask = g_strdup_printf("systemctl status --no-pager --lines=5 %s || true", quoted);
        guest_script(context->guest, ask, reason, error);
    }
    return active;
}

static char *service_title(const json_t *test)
{
    return g_strdup_printf("service %s", check_text(test, "service"));
}

const CheckKind check_service = {.kind = "service", .run = service_run, .title = service_title};

/* The port test: something listens. */
#include "check/kinds.h"
#include "recipe/rows.h"
#include "recipe/rules.h"

static const Key test_port_keys[] = {
    NAME,
    {.name = "port", .help = "The port.", .kind = KIND_INTEGER, .required = TRUE, .least = 1, .most = 65535},
    TEST_TIMEOUT,
    END,
};
static const Shape test_port_shape = {
    .name = "testPort", .help = "A TCP port that something listens on.", .keys = test_port_keys};
const Variant recipe_test_port = {"port", "port", &test_port_shape};

static gboolean port_run(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    /* /proc/net/tcp: local address with the port in hexadecimal, state 0A is LISTEN; no tool has to be there. */
    g_autofree char *condition =
        g_strdup_printf("cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ':%04X [0-9A-F:]* 0A '",
                        (guint)json_integer_value(json_object_get(test, "port")));
    gboolean listening = FALSE;
    if (check_wait(context, test, condition, &listening, error) && !listening) {
        *reason = g_strdup("nothing listens on it");
    }
    return listening;
}

static char *port_title(const json_t *test)
{
    return g_strdup_printf("port %" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(test, "port")));
}

const CheckKind check_port = {.kind = "port", .run = port_run, .title = port_title};

/* Of which references a registry is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "transfer/asks.h"

#define DIGEST "@sha256:0000000000000000000000000000000000000000000000000000000000000000"

static IngotPull parse(const char *text, const char *reference, gboolean current)
{
    IngotPull pull;
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) parsed = ingot_reference_parse(reference, &error);
    gboolean ok =
        current ? ingot_pull_parse_current(text, parsed, &pull, &error) : ingot_pull_parse(text, parsed, &pull, &error);
    if (!ok) {
        fail_msg("%s: %s", reference, error->message);
    }
    return pull;
}

/* What is said of an image is said of the one that the tag names now. */
static void a_tag_that_moves_is_looked_up(void **state)
{
    (void)state;
    static const char *const move[] = {"registry.example/web:prod", "registry.example/web", "localhost:5000/a/web:1.0"};
    static const char *const stay[] = {"registry.example/web:1.0.0", "registry.example/web" DIGEST,
                                       "registry.example/web:prod" DIGEST, "web:prod", "web:1.0.0"};
    for (guint i = 0; i < G_N_ELEMENTS(move); i++) {
        assert_int_equal(parse(NULL, move[i], TRUE), INGOT_PULL_ALWAYS);
        assert_int_equal(parse(NULL, move[i], FALSE), INGOT_PULL_MISSING);
        assert_int_equal(parse("missing", move[i], TRUE), INGOT_PULL_MISSING);
        assert_int_equal(parse("never", move[i], TRUE), INGOT_PULL_NEVER);
    }
    for (guint i = 0; i < G_N_ELEMENTS(stay); i++) {
        assert_int_equal(parse(NULL, stay[i], TRUE), INGOT_PULL_MISSING);
    }
    assert_int_equal(parse("always", stay[0], TRUE), INGOT_PULL_ALWAYS);
}

static void what_no_registry_has_is_not_always_asked_for(void **state)
{
    (void)state;
    IngotPull pull;
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotReference) stored = ingot_reference_parse("web:prod", NULL);
    assert_false(ingot_pull_parse_current("always", stored, &pull, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_that_moves_is_looked_up),
        cmocka_unit_test(what_no_registry_has_is_not_always_asked_for),
    };
    return cmocka_run_group_tests_name("asks", tests, NULL, NULL);
}

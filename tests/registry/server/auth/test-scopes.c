/* Scopes: their grammar, what they give, what lies within what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "server/auth/scopes.h"

static void grammar(void **state)
{
    static const char *const good[] = {"pull:*", "push:team/*", "promote:team/web", "delete:a_b.c-d", "admin:*"};
    static const char *const bad[] = {"",        "pull",        "pull:",     ":*",       "write:*",  "Pull:*",
                                      "pull :*", "pull:team/?", "pull:Team", "pull:a b", "pull:a\n", "pullx:*"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_true(scope_check(good[i], NULL));
    }
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        if (scope_check(bad[i], &error)) {
            fail_msg("'%s' is taken for a scope", bad[i]);
        }
        assert_non_null(strstr(error->message, "RIGHT:PATTERN"));
    }
    g_autofree char *longest = g_strnfill(255, 'a');
    g_autofree char *within = g_strconcat("pull:", longest, NULL), *beyond = g_strconcat("pull:a", longest, NULL);
    assert_true(scope_check(within, NULL));
    assert_false(scope_check(beyond, NULL));
}

static guint rights(const char *text, const char *name)
{
    g_auto(GStrv) scopes = scopes_of_text(text);
    return scopes_rights((const char *const *)scopes, name);
}

static void rights_imply_others(void **state)
{
    (void)state;
    assert_int_equal(rights("pull:*", "a"), ACCESS_PULL);
    assert_int_equal(rights("push:*", "a"), ACCESS_PULL | ACCESS_PUSH);
    assert_int_equal(rights("promote:*", "a"), ACCESS_PULL | ACCESS_PROMOTE);
    assert_int_equal(rights("delete:*", "a"), ACCESS_PULL | ACCESS_DELETE);
    assert_int_equal(rights("admin:*", "a"), ACCESS_ALL);
    assert_int_equal(rights("pull:b push:a promote:*", "a"), ACCESS_PULL | ACCESS_PUSH | ACCESS_PROMOTE);
    assert_int_equal(rights("", "a"), 0);
    assert_int_equal(rights("nonsense:* pull", "a"), 0);
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        gboolean fits;
    } tries[] = {
        {"*", "team/web", TRUE},
        {"team/*", "team/web", TRUE},
        {"team/*", "team/a/b", TRUE},
        {"team/*", "team", FALSE},
        {"team/*", "teams/web", FALSE},
        {"team/*", "other/team/web", FALSE},
        {"*/web", "a/b/web", TRUE},
        {"*/web", "web", FALSE},
        {"a*b*c", "axxbyyc", TRUE},
        {"a*b*c", "abc", TRUE},
        {"a*b*c", "axxc", FALSE},
        {"a*b*c", "abcd", FALSE},
        {"team/web", "team/web", TRUE},
        {"team/web", "team/we", FALSE},
        {"team/web", "team/web2", FALSE},
        {"**", "a", TRUE},
        {"a**", "a", TRUE},
        {"*aab", "aaaab", TRUE},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(tries); i++) {
        g_autofree char *scope = g_strconcat("pull:", tries[i].pattern, NULL);
        if ((rights(scope, tries[i].name) != 0) != tries[i].fits) {
            fail_msg("%s and %s", tries[i].pattern, tries[i].name);
        }
    }
}

/* A pattern made to be slow is not. */
static void many_stars(void **state)
{
    g_autoptr(GString) scope = g_string_new("pull:");
    g_autofree char *name = g_strnfill(250, 'a');
    (void)state;
    for (guint i = 0; i < 120; i++) {
        g_string_append(scope, "a*");
    }
    g_string_append(scope, "b");
    gint64 start = g_get_monotonic_time();
    assert_int_equal(rights(scope->str, name), 0);
    assert_true(g_get_monotonic_time() - start < G_USEC_PER_SEC / 4);
}

static gboolean cover(const char *text, const char *scope)
{
    g_auto(GStrv) scopes = scopes_of_text(text);
    return scopes_cover((const char *const *)scopes, scope);
}

static void covering(void **state)
{
    (void)state;
    assert_true(cover("push:*", "push:team/*"));
    assert_true(cover("push:*", "pull:team/*"));
    assert_true(cover("push:team/*", "push:team/*"));
    assert_true(cover("push:team/*", "push:team/a*b"));
    assert_true(cover("admin:*", "delete:*"));
    assert_true(cover("push:a* pull:*", "pull:*"));
    assert_false(cover("push:team/*", "push:*"));
    assert_false(cover("push:team/*", "push:team*"));
    assert_false(cover("push:team/a", "push:team/*"));
    assert_false(cover("pull:*", "push:a"));
    assert_false(cover("push:*", "promote:a"));
    assert_false(cover("push:* promote:* delete:*", "admin:*"));
    assert_false(cover("push:*a", "push:*"));
    assert_false(cover("", "pull:a"));
}

static void words(void **state)
{
    (void)state;
    assert_int_equal(access_right_parse("promote"), ACCESS_PROMOTE);
    assert_int_equal(access_right_parse("*"), 0);
    assert_string_equal(access_right_name(ACCESS_DELETE), "delete");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),  cmocka_unit_test(rights_imply_others),
        cmocka_unit_test(patterns), cmocka_unit_test(many_stars),
        cmocka_unit_test(covering), cmocka_unit_test(words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

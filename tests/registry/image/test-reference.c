/* References by the OCI grammar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void good_ones_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *name, *tag, *digest;
    } good[] = {
        {"web", NULL, "web", NULL, NULL},
        {"web:1.0.0", NULL, "web", "1.0.0", NULL},
        {"team/web:prod", NULL, "team/web", "prod", NULL},
        {"a.b/web", "a.b", "web", NULL, NULL},
        {"localhost/web:dev", "localhost", "web", "dev", NULL},
        {"127.0.0.1:5000/team/web:1.0.0", "127.0.0.1:5000", "team/web", "1.0.0", NULL},
        {"host:5000/web@sha256:" HEX, "host:5000", "web", NULL, "sha256:" HEX},
        {"web:1.0.0@sha256:" HEX, NULL, "web", "1.0.0", "sha256:" HEX},
        {"a-b__c/d.e", NULL, "a-b__c/d.e", NULL, NULL},
        {"web:_x-Y.9", NULL, "web", "_x-Y.9", NULL},
    };
    for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(IngotReference) reference = ingot_reference_parse(good[i].text, &error);
        assert_non_null(reference);
        assert_int_equal(g_strcmp0(reference->host, good[i].host), 0);
        assert_string_equal(reference->name, good[i].name);
        assert_int_equal(g_strcmp0(reference->tag, good[i].tag), 0);
        assert_int_equal(g_strcmp0(reference->digest, good[i].digest), 0);
        g_autofree char *text = ingot_reference_to_text(reference);
        assert_string_equal(text, good[i].text);
    }
}

/* As docker and podman have it. */
static void names_of_the_hub_are_one(void **state)
{
    static const struct {
        const char *text, *one;
    } names[] = {
        {"docker.io/x", "docker.io/library/x"},
        {"docker.io/library/x:1.0.0", "docker.io/library/x:1.0.0"},
        {"index.docker.io/x@sha256:" HEX, "docker.io/library/x@sha256:" HEX},
        {"registry-1.docker.io/team/x", "docker.io/team/x"},
        {"Docker.IO/x", "docker.io/library/x"},
        {"docker.io:443/x", "docker.io:443/x"},
        {"quay.io/x", "quay.io/x"},
        {"x", "x"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autoptr(IngotReference) reference = ingot_reference_parse(names[i].text, NULL);
        g_autoptr(IngotReference) place = ingot_reference_parse_location(names[i].text, NULL);
        g_autofree char *text = ingot_reference_to_text(reference);
        assert_string_equal(text, names[i].one);
        assert_true(place->host == NULL || g_str_has_prefix(text, place->host));
    }
    g_autoptr(IngotReference) hub = ingot_reference_parse_location("index.docker.io", NULL);
    assert_string_equal(hub->host, "docker.io");
    assert_null(hub->name);
}

static void bad_ones_are_refused_with_the_grammar(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "Web",        "web:",     ":1.0.0",         "web@",       "web@sha256:abc", "web@md5:" HEX,
        "web//x", "/web",       "web/",     "web:-x",         "web:a b",    "we b",           "-web",
        "web_",   "we___b",     "../web",   "web:a:b",        "host:5000/", "host:x/web",     "h.ost/Web",
        "web\n",  "web@sha256", "\xc3\xa4", "host:70000/web",
    };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(IngotReference) reference = ingot_reference_parse(bad[i], &error);
        if (reference != NULL) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(strlen(error->message) > 20);
    }
    g_autofree char *tag = g_strnfill(129, 'a');
    assert_false(ingot_tag_check(tag, NULL));
    tag[128] = '\0';
    assert_true(ingot_tag_check(tag, NULL));
    g_autofree char *name = g_strnfill(256, 'a');
    assert_false(ingot_name_check(name, NULL));
}

/* Whatever bytes a peer sends. */
static void what_is_no_utf8_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"a\xff", "\xff", "a\xc3", "a\xf0\x9f", "\x80web", "a\xed\xa0\x80"};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        assert_false(ingot_name_check(texts[i], NULL));
        assert_false(ingot_tag_check(texts[i], NULL));
        assert_false(ingot_tag_is_version(texts[i]));
        assert_null(ingot_reference_parse(texts[i], NULL));
    }
}

static void versions_are_ordered_by_number(void **state)
{
    (void)state;
    static const char *const order[] = {
        "0.9.0",
        "1.0.0-01",
        "1.0.0-1",
        "1.0.0-9",
        "1.0.0-9.9",
        "1.0.0-10",
        "1.0.0-20240101120000000000001",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0-rc.2",
        "1.0.0-rc.12",
        "1.0.0-rc1",
        "1.0.0",
        "1.2.0",
        "1.10.0",
        "10.0.0",
        "dev",
        "prod",
    };
    for (guint a = 0; a < G_N_ELEMENTS(order); a++) {
        for (guint b = 0; b < G_N_ELEMENTS(order); b++) {
            int expected = (a > b) - (a < b), got = ingot_tag_compare(order[a], order[b]);
            if ((got > 0) - (got < 0) != expected) {
                fail_msg("%s against %s: %d", order[a], order[b], got);
            }
        }
    }
    assert_true(ingot_tag_is_version("1.2.3") && ingot_tag_is_version("1.2.3-rc1"));
    assert_false(ingot_tag_is_version("1.2") || ingot_tag_is_version("v1.2.3") || ingot_tag_is_version("prod"));
    assert_false(ingot_version_check("01.2.3", NULL) && ingot_version_check("1.2.x", NULL));
}

static void a_missing_tag_is_the_highest_version(void **state)
{
    static const struct {
        const char *tags, *highest;
    } cases[] = {
        {"1.9.0 1.10.0 dev prod", "1.10.0"},
        {"2.0.0-rc.10 2.0.0-rc.9 dev latest", "2.0.0-rc.10"},
        {"2.0.0-rc.1 2.0.0 zzz", "2.0.0"},
        {"latest dev", "latest"},
        {"nightly dev", NULL},
        {"", NULL},
        {"1.0.0 9.0.0-\033[2J 1.0", "1.0.0"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(GStrv) tags = g_strsplit(cases[i].tags, " ", -1);
        g_autoptr(GError) error = NULL;
        const char *chosen = ingot_tag_choose("team/web", "", tags, &error);
        if (g_strcmp0(chosen, cases[i].highest) != 0) {
            fail_msg("%s: %s", cases[i].tags, chosen);
        }
        assert_int_equal(chosen == NULL, g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    }
}

/* In order, what no person has named left out, of many the last; no byte of a registry's that is no tag. */
static void an_unknown_tag_lists_those_there_are(void **state)
{
    char *few[] = {"prod", "1.10.0", "sha256-" HEX, "\033[2J", "1.9.0", NULL};
    char *none[] = {NULL};
    g_autoptr(GStrvBuilder) many = g_strv_builder_new();
    g_autoptr(GError) error = NULL;
    (void)state;
    assert_false(ingot_tag_missing("host/web", "", "latest", few, &error));
    assert_string_equal(error->message, "host/web has no tag 'latest' (it has 1.9.0, 1.10.0, prod)");
    g_clear_error(&error);
    ingot_tag_missing("web", " in the store", "dev", none, &error);
    assert_string_equal(error->message, "web has no tag 'dev' in the store (it has no tags)");
    g_clear_error(&error);
    for (guint i = 0; i < 100; i++) {
        g_autofree char *tag = g_strdup_printf("1.%u.0", i);
        g_strv_builder_add(many, tag);
    }
    g_auto(GStrv) tags = g_strv_builder_end(many);
    ingot_tag_missing("web", "", "zzzzzzzz", tags, &error);
    assert_non_null(strstr(error->message, "(it has 1.88.0, "));
    assert_non_null(strstr(error->message, "1.99.0 and 88 more)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_tag_is_the_highest_version),
        cmocka_unit_test(an_unknown_tag_lists_those_there_are),
        cmocka_unit_test(good_ones_are_taken_apart),
        cmocka_unit_test(names_of_the_hub_are_one),
        cmocka_unit_test(bad_ones_are_refused_with_the_grammar),
        cmocka_unit_test(what_is_no_utf8_is_refused),
        cmocka_unit_test(versions_are_ordered_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

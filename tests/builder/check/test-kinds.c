/* What tests say of a guest's files and output, whatever these hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "../guest/fake.h"
#include "check/kinds.h"

/* NULL: passed; else why not. Free it. */
static char *file_reason(Fake *fake, const char *test)
{
    CheckContext context = {.guest = fake->guest};
    g_autoptr(json_t) tree = json_loads(test, 0, NULL);
    g_autofree char *path = g_build_filename(fake->place, json_string_value(json_object_get(tree, "path")), NULL);
    g_autoptr(GError) error = NULL;
    char *reason = NULL;
    json_object_set_new(tree, "path", json_string(path));
    json_object_set_new(tree, "timeout", json_integer(30));
    gboolean passed = check_file.run(&context, tree, &reason, &error);
    assert_null(error);
    assert_true(passed == (reason == NULL));
    return reason;
}

static void a_link_is_its_file(void **state)
{
    (void)state;
    static const struct {
        const char *test;
        const char *reason;
    } cases[] = {
        {"{\"path\": \"link\", \"mode\": \"640\"}", NULL},
        {"{\"path\": \"link\", \"mode\": \"777\"}", "mode 640, not 777"},
        {"{\"path\": \"dangling\", \"exists\": false}", "is there"},
        {"{\"path\": \"dangling\", \"mode\": \"640\"}", "is not there"},
        {"{\"path\": \"nothing\", \"exists\": false}", NULL},
        {"{\"path\": \"nothing\"}", "is not there"},
        {"{\"path\": \"latin\", \"content\": \"^caf.$\"}", NULL},
        {"{\"path\": \"utf\", \"content\": \"^caf.$\"}", NULL},
    };
    g_auto(Fake) fake = fake_new();
    g_autofree char *script =
        g_strdup_printf("cd %s; echo >file; chmod 640 file; ln -s file link; ln -s nowhere dangling\n"
                        "printf 'caf\\351\\n' >latin; printf 'caf\\303\\251\\n' >utf\n",
                        fake.place);
    assert_true(guest_script(fake.guest, script, NULL, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *reason = file_reason(&fake, cases[i].test);
        if (g_strcmp0(reason, cases[i].reason) != 0) {
            fail_msg("%s: %s", cases[i].test, reason == NULL ? "passed" : reason);
        }
    }
}

static void a_page_need_not_be_text(void **state)
{
    (void)state;
    assert_true(check_matches("^caf.$", "caf\303\251", 5)); /* UTF-8: a character is one */
    assert_true(check_matches("^caf.$", "x\ncaf\351\ny", 8));
    assert_true(check_matches("It works", "\xff\xfe It works", 11));
    assert_true(check_matches("end", "\0\xff end", 6));
    assert_true(check_matches("b", "ab\xc3", 3)); /* cut in the middle of a character */
    assert_false(check_matches("end", "\xff the en", 8));
    assert_false(check_matches("ab", "ab", 1));
}

static void output_is_cut_between_characters(void **state)
{
    (void)state;
    g_auto(Fake) fake = fake_new();
    CheckContext context = {.guest = fake.guest};
    g_autoptr(json_t) test = json_pack("{s:i}", "timeout", 30);
    for (guint i = 0; i < 4; i++) { /* wherever the cut falls */
        g_autofree char *script =
            g_strdup_printf("for i in $(seq 400); do printf '\\360\\237\\220\\247'; done; printf '%%.*s' %u xxxx", i);
        g_autofree char *output = NULL;
        int status = -1;
        assert_true(check_script(&context, test, script, &status, &output, NULL));
        assert_int_equal(status, 0);
        assert_true(g_utf8_validate(output, -1, NULL));
        assert_in_range(strlen(output), 997, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_its_file),
        cmocka_unit_test(a_page_need_not_be_text),
        cmocka_unit_test(output_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

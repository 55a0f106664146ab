/* What a step is called: short, in whole characters, whatever language it is written in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/json.h"
#include "step/step.h"

#define MOST 60 /* bytes */

/* The title of a shell step of that name. Free it. */
static char *title_of(const char *name)
{
    g_autoptr(json_t) step = ingot_json_pack("{s:s, s:s}", "kind", "shell", "name", name);
    return step_title(step);
}

static void a_short_name_is_the_title(void **state)
{
    static const char *const names[] = {"install nginx", "größe", "x",
                                        "a name of exactly sixty bytes, which is the most that fits ."};
    (void)state;
    assert_int_equal(strlen(names[3]), MOST);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *title = title_of(names[i]);
        assert_string_equal(title, names[i]);
    }
}

/* For every place of the cut in a character. */
static void a_long_name_is_cut_between_characters(void **state)
{
    static const char *const letters[] = {"a", "Ж", "€", "𝄞"};
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(letters); i++) {
        for (guint ahead = 0; ahead < 4; ahead++) {
            g_autoptr(GString) name = g_string_new(NULL);
            for (guint n = 0; n < ahead; n++) {
                g_string_append_c(name, 'x');
            }
            while (name->len <= MOST) {
                g_string_append(name, letters[i]);
            }
            g_autofree char *title = title_of(name->str);
            gsize kept = strlen(title) - strlen("…");
            assert_true(g_utf8_validate(title, -1, NULL));
            assert_true(g_str_has_suffix(title, "…"));
            assert_in_range(strlen(title), MOST - 3, MOST);
            assert_memory_equal(title, name->str, kept);
        }
    }
}

static void a_name_from_a_public_report_is_cut(void **state)
{
    static const char name[] = "Установка пакетов и настройка службы журналов веб-сервера";
    (void)state;
    g_autofree char *title = title_of(name);
    g_autoptr(json_t) kept = json_string(title);
    assert_non_null(kept);
    assert_memory_equal(title, name, strlen(title) - strlen("…"));
}

static void without_a_name_the_first_line_of_the_script_is_the_title(void **state)
{
    (void)state;
    g_autoptr(json_t) step =
        ingot_json_pack("{s:s, s:s}", "kind", "shell", "script", "\n # żądań użytkowników\napt-get install nginx\n");
    g_autofree char *title = step_title(step);
    assert_string_equal(title, "# żądań użytkowników");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_name_is_the_title),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
        cmocka_unit_test(a_name_from_a_public_report_is_cut),
        cmocka_unit_test(without_a_name_the_first_line_of_the_script_is_the_title),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

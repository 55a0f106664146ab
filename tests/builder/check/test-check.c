/* The JUnit report of tests: XML whatever a guest has printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/secrets.h"
#include "check/check.h"

static void a_case_holds_only_what_xml_can(void **state)
{
    (void)state;
    g_autoptr(GString) all = g_string_new(NULL), reason = g_string_new("sword\033[0mfish <&> sch\303\266n\n");
    for (char c = 1; c < 0x20; c++) {
        g_string_append_c(reason, c);
        g_string_append(reason, " \\ ");
    }
    g_string_append(reason, "\177 \302\233 \377 \357\277\277 end");
    ingot_secrets_register("swordfish");
    check_junit_case(all, "shell", "a\033[1m <title>", 1.5, reason->str);
    check_junit_case(all, "port", "b", 0, NULL);
    g_autofree char *document = check_junit(all->str);
    /* Characters and references that XML 1.0 forbids: its production [2], Char. */
    assert_false(g_regex_match_simple("[\\x01-\\x08\\x0b\\x0c\\x0e-\\x1f\\x{fffe}\\x{ffff}]", document, 0, 0));
    assert_false(
        g_regex_match_simple("&#(x0*(1?[0-9a-f]|fff[ef])|0*[12]?[0-9]|0*3[01]);", document, G_REGEX_CASELESS, 0));
    assert_non_null(strstr(document, "name=\"a &lt;title&gt;\" time=\"1.500\""));
    assert_non_null(strstr(document, "message=\"*** &lt;&amp;&gt; sch\303\266n"));
    assert_non_null(strstr(document, "end\"/>"));
    assert_non_null(strstr(document, "<testcase classname=\"port\" name=\"b\" time=\"0.000\"/>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_case_holds_only_what_xml_can)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

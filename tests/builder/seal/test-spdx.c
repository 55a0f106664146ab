#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "seal/spdx.h"

static json_t *packages(void)
{
    return json_pack("[{s:s, s:s, s:s}]", "name", "nginx", "version", "1:1.22-9+deb12u1", "architecture", "amd64");
}

static void document_names_each_package(void **state)
{
    (void)state;
    g_autoptr(json_t) list = packages();
    g_autofree char *text = spdx_from_packages("web", "debian", "2024-05-01T00:00:00Z", list);
    g_autoptr(json_t) document = ingot_json_parse(text, strlen(text), "spdx", NULL);
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "spdxVersion")), "SPDX-2.3");
    const json_t *one = json_array_get(json_object_get(document, "packages"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "versionInfo")), "1:1.22-9+deb12u1");
    const json_t *purl = json_array_get(json_object_get(one, "externalRefs"), 0);
    assert_string_equal(json_string_value(json_object_get(purl, "referenceLocator")),
                        "pkg:deb/debian/nginx@1%3A1.22-9%2Bdeb12u1?arch=amd64");
}

static void equal_lists_give_equal_bytes(void **state)
{
    (void)state;
    g_autoptr(json_t) list = packages();
    g_autofree char *a = spdx_from_packages("web", "debian", "2024-05-01T00:00:00Z", list);
    g_autofree char *b = spdx_from_packages("web", "debian", "2024-05-01T00:00:00Z", list);
    assert_string_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_names_each_package),
        cmocka_unit_test(equal_lists_give_equal_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

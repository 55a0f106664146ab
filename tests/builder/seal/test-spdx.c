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
    g_autoptr(json_t) list = packages(), os = json_pack("{s:s, s:s}", "id", "debian", "version", "12.5");
    g_autofree char *text = spdx_from_packages("web", os, "2024-05-01T00:00:00Z", list);
    g_autoptr(json_t) document = ingot_json_parse(text, strlen(text), "spdx", NULL);
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "spdxVersion")), "SPDX-2.3");
    const json_t *one = json_array_get(json_object_get(document, "packages"), 0);
    assert_string_equal(json_string_value(json_object_get(one, "versionInfo")), "1:1.22-9+deb12u1");
    const json_t *purl = json_array_get(json_object_get(one, "externalRefs"), 0);
    assert_string_equal(json_string_value(json_object_get(purl, "referenceLocator")),
                        "pkg:deb/debian/nginx@1%3A1.22-9%2Bdeb12u1?arch=amd64&distro=debian-12.5");
}

static char *url_of(const char *package, const char *system)
{
    g_autoptr(json_t) list = json_pack("[o]", json_loads(package, 0, NULL)),
                      os = json_loads(system, JSON_DECODE_ANY, NULL);
    g_autofree char *text = spdx_from_packages("web", os, "2024-05-01T00:00:00Z", list);
    g_autoptr(json_t) document = ingot_json_parse(text, strlen(text), "spdx", NULL);
    const json_t *one = json_array_get(json_object_get(document, "packages"), 0);
    const json_t *url = json_object_get(json_array_get(json_object_get(one, "externalRefs"), 0), "referenceLocator");
    return g_strdup(json_string_value(url));
}

/* Scanners look a package up by its URL: type, names and epoch are by the specification. */
static void urls_are_by_the_specification(void **state)
{
    (void)state;
    static const struct {
        const char *package, *os, *url;
    } cases[] = {
        {"{\"name\": \"libstdc++6\", \"version\": \"12.2.0-14\", \"architecture\": \"amd64\"}",
         "{\"id\": \"kali\", \"version\": \"2024.1\"}",
         "pkg:deb/kali/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=kali-2024.1"},
        {"{\"name\": \"bash\", \"version\": \"1:5.2-1.fc39\", \"architecture\": \"x86_64\", \"type\": \"rpm\"}",
         "{\"id\": \"fedora\", \"version\": \"39\"}",
         "pkg:rpm/fedora/bash@5.2-1.fc39?arch=x86_64&distro=fedora-39&epoch=1"},
        {"{\"name\": \"busybox\", \"version\": \"1.36.1-r5\", \"architecture\": \"x86_64\", \"type\": \"apk\"}",
         "{\"id\": \"alpine\"}", "pkg:apk/alpine/busybox@1.36.1-r5?arch=x86_64"},
        {"{\"name\": \"a\", \"version\": \"1\", \"architecture\": \"all\"}", "null", "pkg:deb/unknown/a@1?arch=all"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *url = url_of(cases[i].package, cases[i].os);
        assert_string_equal(url, cases[i].url);
    }
}

static void equal_lists_give_equal_bytes(void **state)
{
    (void)state;
    g_autoptr(json_t) list = packages(), os = json_pack("{s:s, s:s}", "id", "debian", "version", "12.5");
    g_autofree char *a = spdx_from_packages("web", os, "2024-05-01T00:00:00Z", list);
    g_autofree char *b = spdx_from_packages("web", os, "2024-05-01T00:00:00Z", list);
    assert_string_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_names_each_package),
        cmocka_unit_test(urls_are_by_the_specification),
        cmocka_unit_test(equal_lists_give_equal_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Catalogues of boxes in the three ways in which they are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "vagrant/catalogue.h"

static VagrantBox *parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    VagrantBox *box = vagrant_box_parse(text, strlen(text), "acme", "web.json", &error);
    if (box == NULL) {
        fail_msg("%s", error->message);
    }
    return box;
}

static const VagrantProvider *provider_at(const VagrantBox *box, guint version, guint number)
{
    const VagrantVersion *of = g_ptr_array_index(box->versions, version);
    assert_in_range(number, 0, of->providers->len - 1);
    return g_ptr_array_index(of->providers, number);
}

/* A file beside the boxes, as people write it by hand. */
static void test_plain(void **state)
{
    (void)state;
    g_autoptr(VagrantBox) box =
        parse("{\"name\": \"acme/web\", \"description\": \"The web.\", \"versions\": [{\"version\": \"1.0\","
              " \"providers\": [{\"name\": \"virtualbox\", \"url\": \"web-1.0.box\", \"checksum\": \"ABC0\","
              " \"checksum_type\": \"SHA1\"}, {\"name\": \"libvirt\", \"url\": \"file:///web.box\", \"architecture\":"
              " \"arm64\", \"default_architecture\": true, \"checksum\": \"\", \"checksum_type\": \"\"}]}]}");
    assert_string_equal(box->name, "acme/web");
    assert_string_equal(box->description, "The web.");
    const VagrantVersion *version = g_ptr_array_index(box->versions, 0);
    assert_string_equal(version->version, "1.0");
    assert_int_equal(version->status, VAGRANT_ACTIVE);
    assert_string_equal(provider_at(box, 0, 0)->checksum, "abc0");
    assert_string_equal(provider_at(box, 0, 0)->checksum_type, "sha1");
    assert_null(provider_at(box, 0, 0)->architecture);
    assert_string_equal(provider_at(box, 0, 1)->architecture, "arm64");
    assert_true(provider_at(box, 0, 1)->is_default);
    assert_null(provider_at(box, 0, 1)->checksum);
    assert_null(provider_at(box, 0, 1)->checksum_type);
}

/* Vagrant Cloud's API. */
static void test_cloud(void **state)
{
    (void)state;
    g_autoptr(VagrantBox) box = parse(
        "{\"tag\": \"Acme/web\", \"username\": \"Acme\", \"name\": \"web\", \"private\": true,"
        " \"short_description\": \"short\", \"description_html\": \"<p>\", \"description_markdown\": \"long\","
        " \"versions\": [{\"version\": \"2.0.0\", \"status\": \"unreleased\", \"description_markdown\": \"d\","
        " \"providers\": []}, {\"version\": \"1.0.0\", \"status\": \"revoked\", \"providers\": [{\"name\": \"qemu\","
        " \"original_url\": \"http://a/b\", \"download_url\": \"http://c/d\", \"checksum\": null}]}]}");
    assert_string_equal(box->name, "Acme/web");
    assert_string_equal(box->short_description, "short");
    assert_string_equal(box->description, "long");
    assert_true(box->is_private);
    const VagrantVersion *first = g_ptr_array_index(box->versions, 0), *second = g_ptr_array_index(box->versions, 1);
    assert_int_equal(first->status, VAGRANT_UNRELEASED);
    assert_string_equal(first->description, "d");
    assert_int_equal(second->status, VAGRANT_REVOKED);
    assert_string_equal(provider_at(box, 1, 0)->url, "http://c/d");
}

/* HCP: the box within a reply, its parts by name, the files by architecture. */
static void test_hcp(void **state)
{
    (void)state;
    g_autoptr(VagrantBox) box = parse(
        "{\"box\": {\"name\": \"web\", \"is_private\": false, \"versions\": [{\"name\": \"1.0.0\", \"state\":"
        " \"ACTIVE\", \"providers\": [{\"name\": \"libvirt\", \"architectures\": [{\"architecture_type\": \"amd64\","
        " \"default\": true, \"box_data\": {\"checksum\": \"AA\", \"checksum_type\": \"SHA256\", \"size\": \"77\","
        " \"download_url\": \"http://x\"}}, {\"architecture_type\": \"arm64\", \"box_data\": {\"checksum_type\":"
        " \"NONE\", \"checksum\": \"x\"}}]}]}]}}");
    assert_string_equal(box->name, "acme/web");
    assert_string_equal(provider_at(box, 0, 0)->architecture, "amd64");
    assert_true(provider_at(box, 0, 0)->is_default);
    assert_int_equal(provider_at(box, 0, 0)->size, 77);
    assert_string_equal(provider_at(box, 0, 0)->checksum_type, "sha256");
    assert_string_equal(provider_at(box, 0, 1)->architecture, "arm64");
    assert_false(provider_at(box, 0, 1)->is_default);
    assert_null(provider_at(box, 0, 1)->url);
    assert_null(provider_at(box, 0, 1)->checksum_type);
}

static void test_page(void **state)
{
    static const char boxes[] = "{\"boxes\": [{\"name\": \"a\"}, {\"tag\": \"o/b\"}], \"pagination\":"
                                " {\"next_page_token\": \"T\"}}";
    static const char versions[] =
        "{\"versions\": [{\"name\": \"1.0.0\"}], \"pagination\": {\"next_page_token\": \"\"}}";
    (void)state;
    g_autoptr(VagrantPage) page = vagrant_page_parse(boxes, strlen(boxes), "acme", "page", NULL);
    assert_int_equal(page->boxes->len, 2);
    assert_string_equal(((VagrantBox *)g_ptr_array_index(page->boxes, 0))->name, "acme/a");
    assert_string_equal(((VagrantBox *)g_ptr_array_index(page->boxes, 1))->name, "o/b");
    assert_string_equal(page->next, "T");
    g_autoptr(VagrantPage) last = vagrant_page_parse(versions, strlen(versions), "acme", "page", NULL);
    assert_int_equal(last->versions->len, 1);
    assert_int_equal(last->boxes->len, 0);
    assert_null(last->next);
}

/* What is written reads as what it was, without what is not for Vagrant. */
static void test_write(void **state)
{
    (void)state;
    g_autoptr(VagrantBox) box =
        parse("{\"name\": \"a/b\", \"versions\": [{\"version\": \"2.0.0\", \"providers\": [{\"name\": \"qemu\"},"
              " {\"name\": \"libvirt\", \"url\": \"u\", \"architecture\": \"amd64\", \"checksum\": \"00\","
              " \"checksum_type\": \"md5\"}]}, {\"version\": \"1.0.0\", \"status\": \"revoked\", \"providers\": []}]}");
    g_autoptr(json_t) body = vagrant_box_json(box, NULL, NULL);
    g_autofree char *text = ingot_json_canonical(body);
    assert_string_equal(text,
                        "{\"name\":\"a/b\",\"versions\":[{\"providers\":[{\"architecture\":\"amd64\",\"checksum\":"
                        "\"00\",\"checksum_type\":\"md5\",\"default_architecture\":false,\"name\":\"libvirt\","
                        "\"url\":\"u\"}],\"status\":\"active\",\"version\":\"2.0.0\"}]}");
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"[]", "not a catalogue"},
        {"{\"versions\": []}", "not a catalogue"},
        {"{\"name\": \"a/b\", \"versions\": {}}", "not a catalogue"},
        {"{\"name\": \"a/b\", \"versions\": [{\"version\": 1.0}]}", "version 1 of the list has no text"},
        {"{\"name\": \"a/b\", \"versions\": [7]}", "version 1 of the list"},
        {"{\"name\": \"a/b\", \"versions\": [{\"version\": \"1.0\", \"providers\": [{}]}]}",
         "version '1.0': a provider has no name"},
        {"{\"name\": \"a/b\", \"versions\": [{\"version\": \"1.0\", \"providers\": [{\"name\": \"q\","
         " \"architectures\": [{}]}]}]}",
         "provider 'q': architecture 1 has no name"},
        {"{\"name\"", "web.json:1:"},
    };
    (void)state;
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(vagrant_box_parse(cases[i].text, strlen(cases[i].text), NULL, "web.json", &error));
        if (!g_str_has_prefix(error->message, "web.json") || strstr(error->message, cases[i].told) == NULL) {
            fail_msg("'%s': %s", cases[i].text, error->message);
        }
    }
}

/* A value takes more memory than its text: a text of nothing but values has a bound. */
static void test_bound(void **state)
{
    gsize size = 4u << 20;
    (void)state;
    g_autofree char *text = g_malloc(size);
    g_autoptr(GError) error = NULL;
    memset(text, '[', size);
    assert_null(vagrant_box_parse(text, size, NULL, "web.json", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    g_clear_error(&error);
    assert_null(vagrant_box_parse(text, (gsize)VAGRANT_CATALOGUE_MAX + 1, NULL, "web.json", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain), cmocka_unit_test(test_cloud), cmocka_unit_test(test_hcp),
        cmocka_unit_test(test_page),  cmocka_unit_test(test_write), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

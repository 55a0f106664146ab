/* Lists that a site makes as long as it likes: they end with an error, before they fill the memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "import/boxlisting.h"
#include "import/boxpages.h"

/* A site whose lists never end: each page has the same, and a further one. */
typedef struct {
    const char *key;            /* of a page's list */
    const char *before, *after; /* an entry of it: its number is between them */
    guint times;                /* entries of a page */
    guint asked;
    gsize told; /* bytes */
} Endless;

static GBytes *get_endless(const char *url, gsize limit, char **at, gpointer user, GError **error)
{
    Endless *site = user;
    g_autoptr(GString) text = g_string_new(NULL);
    (void)limit, (void)error;
    g_string_append_printf(text, "{\"%s\": [", site->key);
    for (guint i = 0; i < site->times; i++) {
        g_string_append_printf(text, "%s%s%u%s", i == 0 ? "" : ", ", site->before, site->asked * site->times + i,
                               site->after);
    }
    g_string_append_printf(text, "], \"pagination\": {\"next_page_token\": \"%u\"}}", ++site->asked);
    *at = g_strdup(url);
    site->told += text->len;
    gsize size = text->len;
    return g_bytes_new_take(g_string_free(g_steal_pointer(&text), FALSE), size);
}

static void assert_ends(Endless *site, gboolean ok, const GError *error)
{
    assert_false(ok);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_true(site->told <= 2 * VAGRANT_CATALOGUE_MAX);
}

static void long_texts_end(void **state)
{
    g_autofree char *text = g_strnfill(1u << 20, 'x'), *after = g_strdup_printf("\", \"description\": \"%s\"}", text);
    Endless site = {.key = "versions", .before = "{\"name\": \"1.0.", .after = after, .times = 1};
    g_autoptr(VagrantBox) box = vagrant_box_new("team/web");
    g_autoptr(GError) error = NULL;
    (void)state;
    gboolean ok = box_pages_complete("https://site/box", box, get_endless, &site, &error);
    assert_ends(&site, ok, error);
    assert_int_equal(site.asked, 16);
}

/* Small in bytes, and many. */
static void many_versions_end(void **state)
{
    Endless site = {.key = "versions", .before = "{\"name\": \"", .after = "\"}", .times = 30000};
    g_autoptr(VagrantBox) box = vagrant_box_new("team/web");
    g_autoptr(GError) error = NULL;
    (void)state;
    gboolean ok = box_pages_complete("https://site/box", box, get_endless, &site, &error);
    assert_ends(&site, ok, error);
    assert_true(box->versions->len <= VAGRANT_CATALOGUE_VALUES);
}

/* The providers of all versions count together. */
static void many_providers_end(void **state)
{
    Endless site = {.key = "providers", .before = "{\"name\": \"p", .after = "\", \"url\": \"x\"}", .times = 20000};
    g_autoptr(VagrantBox) box = vagrant_box_new("team/web");
    g_autoptr(GError) error = NULL;
    (void)state;
    g_ptr_array_add(box->versions, vagrant_version_new("1.0.0"));
    gboolean ok = box_pages_complete("https://site/box", box, get_endless, &site, &error);
    assert_ends(&site, ok, error);
}

static void many_names_end(void **state)
{
    g_autofree char *word = g_strnfill(200, 'x'), *before = g_strdup_printf("{\"name\": \"org/%s", word);
    Endless site = {.key = "boxes", .before = before, .after = "\", \"versions\": []}", .times = 5000};
    g_autoptr(GError) error = NULL;
    (void)state;
    g_auto(GStrv) names = box_listing_of_site("https://site", NULL, get_endless, &site, &error);
    assert_ends(&site, names != NULL, error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_texts_end),
        cmocka_unit_test(many_versions_end),
        cmocka_unit_test(many_providers_end),
        cmocka_unit_test(many_names_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

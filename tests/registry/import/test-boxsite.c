/* Sites of files: which boxes they have, and where their files may be; which URLs are none of a site. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "import/boxsite.h"
#include "import/siteforms.h"

static int set_up(void **state)
{
    *state = ingot_workdir_new(NULL);
    return *state == NULL;
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static void put(void **state, const char *name, const char *text)
{
    g_autofree char *path = ingot_workdir_file(*state, name), *folder = g_path_get_dirname(path);
    assert_true(ingot_file_make_folder(folder, NULL));
    assert_true(g_file_set_contents(path, text, -1, NULL));
}

static BoxSite *open_site(void **state, const char *name)
{
    g_autofree char *path = ingot_workdir_file(*state, name), *url = g_strconcat("file://", path, NULL);
    BoxSite *site = box_site_new(url, NULL);
    assert_non_null(site);
    return site;
}

static void only_urls_of_sites_are_taken(void **state)
{
    static const char *const wrong[] = {"",
                                        "web.json",
                                        "/srv/boxes",
                                        "ftp://host/x",
                                        "https://",
                                        "http:///x",
                                        "file://host/x",
                                        "file:///no/such/folder",
                                        "gopher://h",
                                        "httpx://host/x",
                                        NULL};
    (void)state;
    for (guint i = 0; wrong[i] != NULL; i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(BoxSite) site = box_site_new(wrong[i], &error);
        assert_null(site);
        assert_non_null(error);
    }
    g_autoptr(BoxSite) site = box_site_new("https://me:secret@host/boxes/?sig=secret", NULL);
    assert_null(strstr(box_site_name(site), "secret"));
}

static void names_are_plain(void **state)
{
    static const char *const right[] = {"team/web", "A_b/c.d-e", "0/1", NULL};
    static const char *const wrong[] = {"web",       "team/",   "/web",      "team/web/x", "../web",
                                        "team/..",   "team/.x", "team/we b", "team/web\n", "team/%2e",
                                        "te?am/web", "",        NULL};
    (void)state;
    g_autofree char *longest = g_strnfill(250, 'x'), *fits = g_strconcat("team/", longest, NULL),
                    *too_long = g_strconcat(fits, "x", NULL);
    assert_true(site_name_check(fits));
    assert_false(site_name_check(too_long));
    for (guint i = 0; right[i] != NULL; i++) {
        assert_true(site_name_check(right[i]));
    }
    for (guint i = 0; wrong[i] != NULL; i++) {
        assert_false(site_name_check(wrong[i]));
    }
}

static void a_folder_lists_its_files(void **state)
{
    put(state, "site/team/web.json", "{}");
    put(state, "site/team/db", "{}");
    put(state, "site/team/web.box", "");
    put(state, "site/other/thing.json", "{}");
    put(state, "site/README.md", "");
    put(state, "site/.hidden/x.json", "{}");
    g_autoptr(BoxSite) site = open_site(state, "site");
    g_auto(GStrv) all = box_site_list(site, NULL, NULL), team = box_site_list(site, "team", NULL);
    g_autofree char *listed = g_strjoinv(" ", all), *own = g_strjoinv(" ", team);
    assert_string_equal(listed, "other/thing team/db team/web");
    assert_string_equal(own, "team/db team/web");
    assert_null(box_site_list(site, "nobody", NULL));
}

#define CATALOGUE                                                                                                      \
    "{\"name\": \"team/web\", \"versions\": [{\"version\": \"1.0.0\", \"providers\": [{\"name\": \"libvirt\", "        \
    "\"url\": \"%s\"}]}]}"

/* Where the file of a catalogue's box is: its path, or NULL and why it may not be. */
static char *path_of(void **state, const char *url, GError **error)
{
    g_autofree char *text = g_strdup_printf(CATALOGUE, url);
    put(state, "site/team/web.json", text);
    g_autoptr(BoxSite) site = open_site(state, "site");
    g_autoptr(SiteBox) found = box_site_box(site, "team/web", NULL);
    const VagrantVersion *version = g_ptr_array_index(found->box->versions, 0);
    g_autofree char *at = box_site_locate(site, found, version, g_ptr_array_index(version->providers, 0), error);
    return at == NULL ? NULL : box_site_path(site, at, error);
}

static void files_lie_in_the_folder(void **state)
{
    static const char *const wrong[] = {
        "../../outside.box",         "/etc/passwd",        "link.box",     "%s/outside.box", "none.box", ".",
        "../../site/../outside.box", "folder/../link.box", "ftp://host/x", "javascript:x",   NULL};
    g_autofree char *outside = ingot_workdir_file(*state, "outside.box"),
                    *link = ingot_workdir_file(*state, "site/team/link.box"),
                    *expected = ingot_workdir_file(*state, "site/boxes/web.box");
    put(state, "outside.box", "");
    put(state, "site/boxes/web.box", "");
    put(state, "site/team/web.json", "");
    assert_int_equal(symlink(outside, link), 0);
    g_autofree char *inside = path_of(state, "../boxes/web.box", NULL);
    assert_string_equal(inside, expected);
    for (guint i = 0; wrong[i] != NULL; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *path = path_of(state, wrong[i], &error);
        if (path != NULL || error == NULL) {
            fail_msg("%s: taken as %s", wrong[i], path);
        }
    }
    g_unlink(link);
}

static void a_document_is_one_box(void **state)
{
    put(state, "web.json", "{\"name\": \"Team/Web\", \"versions\": []}");
    g_autoptr(BoxSite) site = open_site(state, "web.json");
    g_auto(GStrv) names = box_site_list(site, NULL, NULL);
    g_autoptr(SiteBox) found = box_site_box(site, "team/web", NULL), other = box_site_box(site, "team/db", NULL);
    assert_string_equal(names[0], "Team/Web");
    assert_null(names[1]);
    assert_non_null(found);
    assert_null(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_urls_of_sites_are_taken),
                                       cmocka_unit_test(names_are_plain), cmocka_unit_test(a_folder_lists_its_files),
                                       cmocka_unit_test(files_lie_in_the_folder),
                                       cmocka_unit_test(a_document_is_one_box)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

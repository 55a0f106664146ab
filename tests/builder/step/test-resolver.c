/* What an offline step makes of /etc/resolv.conf, in a folder: libguestfs, which has a file of its own there while the
 * step runs, is the functions below. They are found before those of the library. */
#include "step/resolver.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/process.h"

#define SYSTEMS "nameserver 192.0.2.1\n"
#define APPLIANCES "# of the appliance\nnameserver 169.254.2.3\n"

static char *root;

static char *inside(const char *path)
{
    return g_strconcat(root, path, NULL);
}

int guestfs_is_dir(guestfs_h *g, const char *path)
{
    (void)g;
    g_autofree char *file = inside(path);
    return g_file_test(file, G_FILE_TEST_IS_DIR) && !g_file_test(file, G_FILE_TEST_IS_SYMLINK);
}

int guestfs_exists(guestfs_h *g, const char *path)
{
    (void)g;
    g_autofree char *file = inside(path);
    return g_file_test(file, G_FILE_TEST_EXISTS);
}

int guestfs_is_symlink(guestfs_h *g, const char *path)
{
    (void)g;
    g_autofree char *file = inside(path);
    return g_file_test(file, G_FILE_TEST_IS_SYMLINK);
}

int guestfs_rmdir(guestfs_h *g, const char *path)
{
    (void)g;
    g_autofree char *file = inside(path);
    return g_rmdir(file);
}

int guestfs_rm_f(guestfs_h *g, const char *path)
{
    (void)g;
    g_autofree char *file = inside(path);
    return g_unlink(file);
}

int guestfs_rename(guestfs_h *g, const char *from, const char *to)
{
    (void)g;
    g_autofree char *one = inside(from), *other = inside(to);
    return g_rename(one, other);
}

/* What the script prints on its way to an error; NULL: none. Free it. */
static char *run(const char *script)
{
    g_autoptr(GString) text = g_string_new("ingot_nl='\n'; ingot_place=$0\n");
    g_autofree char *etc = inside("/etc/");
    g_autoptr(GError) error = NULL;
    g_string_append(text, script);
    g_string_replace(text, "/etc/", etc, 0);
    const char *const argv[] = {"/bin/sh", "-c", text->str, root, NULL};
    return ingot_process_run(argv, NULL, NULL, &error) ? NULL : g_strdup(error->message);
}

static void put(const char *text)
{
    g_autofree char *file = inside("/etc/resolv.conf");
    if (text == NULL) {
        g_unlink(file);
    } else {
        assert_true(g_file_set_contents(file, text, -1, NULL));
    }
}

/* The step, and what libguestfs does about it, on a system whose file is `before`; why it is refused, or NULL. */
static char *step(const char *before, const char *script)
{
    put(APPLIANCES);
    g_autofree char *noted = run(resolver_before), *done = run(script);
    assert_null(noted);
    assert_null(done);
    g_autofree char *refused = run(resolver_behind);
    g_autofree char *file = inside("/etc/resolv.conf");
    g_unlink(file);
    put(before);
    if (refused == NULL) {
        g_autoptr(GError) error = NULL;
        assert_true(resolver_finish(NULL, &error));
    }
    g_autofree char *left = inside("/etc/.ingot-resolv.conf");
    assert_false(refused == NULL && g_file_test(left, G_FILE_TEST_EXISTS));
    return g_steal_pointer(&refused);
}

static void assert_text(const char *expected)
{
    g_autofree char *file = inside("/etc/resolv.conf");
    g_autofree char *text = NULL;
    g_file_get_contents(file, &text, NULL, NULL);
    assert_true(g_strcmp0(text, expected) == 0);
}

static void assert_becomes(const char *before, const char *script, const char *after)
{
    g_autofree char *refused = step(before, script);
    assert_null(refused);
    assert_text(after);
}

static void what_no_step_has_touched_stays(void **state)
{
    (void)state;
    assert_becomes(SYSTEMS, "true", SYSTEMS);
    assert_becomes(NULL, "true", NULL);
    assert_becomes(SYSTEMS, "cat /etc/resolv.conf >/etc/x; mv /etc/x /etc/resolv.conf", SYSTEMS);
}

static void what_a_step_writes_stays(void **state)
{
    (void)state;
    assert_becomes(SYSTEMS, "echo nameserver 9.9.9.9 >/etc/resolv.conf", "nameserver 9.9.9.9\n");
    assert_becomes(NULL, "echo nameserver 9.9.9.9 >/etc/resolv.conf", "nameserver 9.9.9.9\n");
    assert_becomes(SYSTEMS, ": >/etc/resolv.conf", "");
    assert_becomes(SYSTEMS, "rm /etc/resolv.conf", NULL);
    assert_becomes(SYSTEMS, "echo x >/etc/real; ln -sf real /etc/resolv.conf", "x\n");
    g_autofree char *file = inside("/etc/resolv.conf");
    assert_true(g_file_test(file, G_FILE_TEST_IS_SYMLINK));
    assert_becomes(SYSTEMS, "ln -sf ../run/stub.conf /etc/resolv.conf", NULL);
    assert_true(g_file_test(file, G_FILE_TEST_IS_SYMLINK));
}

static void what_is_only_added_is_refused(void **state)
{
    (void)state;
    g_autofree char *refused = step(SYSTEMS, "echo options edns0 >>/etc/resolv.conf");
    assert_non_null(refused);
    assert_non_null(strstr(refused, "may write it anew or remove it, but not add to it"));
}

static int set_up(void **state)
{
    IngotWorkdir *workdir = *state = ingot_workdir_new(NULL);
    root = ingot_workdir_file(workdir, "root");
    g_autofree char *etc = inside("/etc");
    return g_mkdir_with_parents(etc, 0755);
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    g_free(root);
    return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_no_step_has_touched_stays),
        TEST(what_a_step_writes_stays),
        TEST(what_is_only_added_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

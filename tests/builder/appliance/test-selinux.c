/* Labels of what is written from outside. libguestfs is the functions below: they are found before those of the
 * library.
 */
#include "appliance/selinux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *config; /* the system's; NULL: it has none */
static gboolean able;      /* the appliance can label */
static GString *done;      /* what it did */

int guestfs_is_file_opts(guestfs_h *g, const char *path, ...)
{
    (void)g;
    assert_string_equal(path, "/etc/selinux/config");
    return config != NULL;
}

int guestfs_is_file(guestfs_h *g, const char *path)
{
    (void)g;
    return strcmp(path, "/etc/selinux/default/contexts/files/file_contexts") == 0;
}

char *guestfs_cat(guestfs_h *g, const char *path)
{
    (void)g, (void)path;
    return g_strdup(config);
}

int guestfs_feature_available(guestfs_h *g, char *const *groups)
{
    (void)g;
    assert_string_equal(groups[0], "selinuxrelabel");
    return able;
}

int guestfs_selinux_relabel(guestfs_h *g, const char *contexts, const char *path, ...)
{
    (void)g, (void)contexts;
    g_string_append_printf(done, "label %s\n", path);
    return 0;
}

int guestfs_touch(guestfs_h *g, const char *path)
{
    (void)g;
    g_string_append_printf(done, "touch %s\n", path);
    return 0;
}

static void assert_done(const char *text, gboolean labels, const char *expected)
{
    done = g_string_new(NULL);
    config = text;
    able = labels;
    assert_true(selinux_label(NULL, "/etc/x", NULL));
    assert_true(selinux_label_all(NULL, NULL));
    assert_string_equal(done->str, expected);
    g_string_free(done, TRUE);
}

static void a_system_without_selinux_is_left_alone(void **state)
{
    (void)state;
    assert_done(NULL, TRUE, "");
    assert_done("SELINUX=disabled\nSELINUXTYPE=default\n", TRUE, "");
    assert_done("SELINUX=Disabled \nSELINUX=enforcing\n", FALSE, "");
    /* The first word that it knows counts, at the beginning of its line. */
    assert_done("SELINUX=off\n SELINUX=disabled\nSELINUX=enforcing\nSELINUX=disabled\n", FALSE,
                "touch /.autorelabel\ntouch /.autorelabel\n");
}

static void files_get_the_labels_of_the_policy_in_use(void **state)
{
    (void)state;
    assert_done("# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=default\n", TRUE, "label /etc/x\nlabel /\n");
}

static void what_cannot_be_labelled_here_is_labelled_at_the_next_boot(void **state)
{
    (void)state;
    static const char expected[] = "touch /.autorelabel\ntouch /.autorelabel\n";
    assert_done("SELINUX=permissive\nSELINUXTYPE=default\n", FALSE, expected);
    assert_done("SELINUX=enforcing\nSELINUXTYPE=mls\n", TRUE, expected); /* whose contexts are not there */
    assert_done("", TRUE, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_without_selinux_is_left_alone),
        cmocka_unit_test(files_get_the_labels_of_the_policy_in_use),
        cmocka_unit_test(what_cannot_be_labelled_here_is_labelled_at_the_next_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

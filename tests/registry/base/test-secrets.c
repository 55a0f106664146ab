/* Secrets: found in every spelling, and masked by whatever prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>
#include <ingot/progress.h>
#include <unistd.h>

#include "base/secrets.h"
#include "base/terminal.h"

static void masks_line_by_line(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) secrets = ingot_secrets_new();
    ingot_secrets_add(secrets, "first line\n}\nlast line\n");
    ingot_secrets_add(secrets, "first line and more");
    ingot_secrets_add(secrets, "");
    assert_string_equal(g_ptr_array_index(secrets, 0), "first line\\n}\\nlast line\\n");
    g_autofree char *masked = ingot_secrets_mask(secrets, "> first line and more, first line } last line");
    assert_string_equal(masked, "> ***, *** } ***");
    g_autofree char *whole = ingot_secrets_mask(secrets, "<first line\n}\nlast line\n>");
    assert_string_equal(whole, "<***>");
}

static void masks_other_spellings(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "a&b'c\"d/é<",                 /* as it is */
        "a&amp;b&apos;c&quot;d/é&lt;", /* XML */
        "a&b'c\\\"d/é<",               /* JSON */
        "a&b'c\\\"d\\/é<",             /* JSON with its slash escaped */
        "a&b'c\\\"d/\\u00e9<",         /* JSON in ASCII */
        "a&b''c\"d/é<",                /* YAML in single quotes */
        "a&b'\\''c\"d/é<",             /* the shell, in single quotes */
    };
    g_autoptr(GPtrArray) secrets = ingot_secrets_new();
    ingot_secrets_add(secrets, spellings[0]);
    for (guint i = 0; i < G_N_ELEMENTS(spellings); i++) {
        g_autofree char *text = g_strdup_printf("[%s]", spellings[i]);
        g_autofree char *masked = ingot_secrets_mask(secrets, text);
        assert_string_equal(masked, "[***]");
    }
}

static void leaves_other_text_alone(void **state)
{
    (void)state;
    g_autoptr(GPtrArray) secrets = ingot_secrets_new();
    g_autofree char *nothing = ingot_secrets_mask(NULL, "plain");
    ingot_secrets_add(secrets, "s3cret");
    g_autofree char *other = ingot_secrets_mask(secrets, "s3cre t");
    assert_string_equal(nothing, "plain");
    assert_string_equal(other, "s3cre t");
}

/* What a progress display prints of a text, on a stderr that is no terminal. */
static char *printed(const char *text)
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "ingot-secrets-XXXXXX", NULL);
    int fd = g_mkstemp(path), kept = dup(STDERR_FILENO);
    assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    g_autoptr(IngotProgress) progress = terminal_progress_new(FALSE);
    g_autoptr(IngotProgress) child = ingot_progress_child(progress, "web");
    ingot_progress_begin(child, 0, "begin %s", text);
    ingot_progress_message(child, "message %s", text);
    ingot_progress_end(child, "end %s", text);
    char *output = NULL;
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    assert_true(g_file_get_contents(path, &output, NULL, NULL));
    close(fd);
    close(kept);
    g_unlink(path);
    return output;
}

static void progress_masks_what_is_registered(void **state)
{
    (void)state;
    g_autofree char *before = printed("swordfish\nof two lines");
    assert_non_null(strstr(before, "message swordfish"));
    ingot_secrets_register("swordfish\nof two lines");
    g_autofree char *after = printed("swordfish\nof two lines");
    assert_null(strstr(after, "swordfish"));
    assert_null(strstr(after, "two lines"));
    assert_non_null(strstr(after, "web: message ***"));
    g_autofree char *line = printed("only of two lines");
    assert_non_null(strstr(line, "web: message only ***"));
}

static gpointer register_many(gpointer name)
{
    for (guint i = 0; i < 200; i++) {
        g_autofree char *secret = g_strdup_printf("%s-%u;", (const char *)name, i);
        ingot_secrets_register(secret);
        g_autofree char *masked = ingot_secrets_mask_all(secret);
        g_assert_cmpstr(masked, ==, "***");
    }
    return NULL;
}

static void threads_register_at_once(void **state)
{
    (void)state;
    GThread *threads[4];
    static const char *const names[] = {"one", "two", "three", "four"};
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new(names[i], register_many, (gpointer)names[i]);
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_thread_join(threads[i]);
    }
    g_autofree char *masked = ingot_secrets_mask_all("one-0; four-199;");
    assert_string_equal(masked, "*** ***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_line_by_line),       cmocka_unit_test(masks_other_spellings),
        cmocka_unit_test(leaves_other_text_alone),  cmocka_unit_test(progress_masks_what_is_registered),
        cmocka_unit_test(threads_register_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

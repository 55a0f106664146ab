/* What is done to a file while it is read shows in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/unchanged.h"

typedef struct {
    char *folder, *file, *other;
} Sample;

/* Times that no clock tick of now can hide a change from. */
static void make_old(const char *path)
{
    const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int set_up(void **state)
{
    Sample *sample = g_new0(Sample, 1);
    sample->folder = g_dir_make_tmp("ingot-unchanged-XXXXXX", NULL);
    sample->file = g_build_filename(sample->folder, "file", NULL);
    sample->other = g_build_filename(sample->folder, "other", NULL);
    assert_true(g_file_set_contents(sample->file, "before", -1, NULL));
    assert_true(g_file_set_contents(sample->other, "before", -1, NULL));
    make_old(sample->file);
    make_old(sample->other);
    *state = sample;
    return 0;
}

static int tear_down(void **state)
{
    Sample *sample = *state;
    assert_true(ingot_file_remove_tree(sample->folder, NULL));
    g_free(sample->folder);
    g_free(sample->file);
    g_free(sample->other);
    g_free(sample);
    return 0;
}

static void write_into(const Sample *sample)
{
    g_auto(IngotFd) fd = ingot_file_open(sample->file, O_WRONLY, 0, NULL);
    assert_true(ingot_file_pwrite(fd, "b", 1, 0, sample->file, NULL));
}

static void cut_short(const Sample *sample)
{
    assert_int_equal(truncate(sample->file, 2), 0);
}

static void replace(const Sample *sample)
{
    assert_int_equal(rename(sample->other, sample->file), 0);
}

static void take_away(const Sample *sample)
{
    assert_int_equal(unlink(sample->file), 0);
}

static void each_change_is_found(void **state)
{
    static void (*const changes[])(const Sample *) = {write_into, cut_short, replace, take_away};
    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        void *own;
        set_up(&own);
        const Sample *sample = own;
        g_autoptr(Unchanged) files = unchanged_new();
        g_autoptr(GError) error = NULL;
        assert_true(unchanged_add(files, sample->file, NULL));
        assert_true(unchanged_check(files, "disk", NULL));
        changes[i](sample);
        assert_true(i == 3 || unchanged_add(files, sample->file, NULL)); /* it stays as it was seen first */
        assert_false(unchanged_check(files, "disk", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_true(g_str_has_prefix(error->message, "disk: "));
        assert_non_null(strstr(error->message, sample->file));
        tear_down(&own);
    }
    (void)state;
}

static void what_tells_nothing_is_not_looked_at(void **state)
{
    const Sample *sample = *state;
    g_autoptr(Unchanged) files = unchanged_new();
    g_autoptr(GError) error = NULL;
    assert_true(unchanged_add(files, "/dev/null", NULL));
    assert_int_equal(g_remove(sample->other), 0);
    assert_false(unchanged_add(files, sample->other, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_true(unchanged_check(files, "disk", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_change_is_found),
        cmocka_unit_test_setup_teardown(what_tells_nothing_is_not_looked_at, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which files a step has made, and which of them are gone. */
#include "sample.h"

#include <unistd.h>

#include "cache/made.h"

static gint64 now(void)
{
    return g_get_real_time() / G_USEC_PER_SEC;
}

static void expect(const json_t *made, const char *const *names, const Sample *sample)
{
    assert_int_equal(json_array_size(made), g_strv_length((char **)names));
    for (guint i = 0; names[i] != NULL; i++) {
        g_autofree char *path = sample_path(sample, names[i]);
        assert_string_equal(json_string_value(json_array_get(made, i)), path);
    }
}

static void a_file_is_itself(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    sample_write(sample, "out", "");
    g_autoptr(json_t) made = made_list(path, now() + 100);
    expect(made, (const char *const[]){"out", NULL}, sample);
}

static void of_a_folder_its_files_and_links_are_listed(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out"), *link = sample_path(sample, "out/c");
    sample_write(sample, "out/b/file", "");
    sample_write(sample, "out/a", "");
    assert_int_equal(symlink("/nowhere", link), 0);
    g_autoptr(json_t) made = made_list(path, now() - 100);
    expect(made, (const char *const[]){"out/a", "out/b/file", "out/c", NULL}, sample);
    assert_null(made_missing(made));
    assert_int_equal(g_remove(link), 0);
    assert_string_equal(made_missing(made), link);
}

/* The person's own. */
static void what_was_there_before_is_not_of_the_step(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    sample_write(sample, "out/own", "");
    g_autoptr(json_t) made = made_list(path, now() + 100);
    assert_int_equal(json_array_size(made), 0);
}

static void very_many_are_bounded(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    for (guint i = 0; i < 1100; i++) {
        g_autofree char *name = g_strdup_printf("%s/%u", path, i);
        assert_true(ingot_file_make_folder(path, NULL));
        assert_true(g_file_set_contents(name, "", 0, NULL));
    }
    g_autoptr(json_t) made = made_list(path, 0);
    assert_int_equal(json_array_size(made), 1000);
}

static void nothing_made_lacks_nothing(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    g_autoptr(json_t) made = made_list(path, 0);
    assert_int_equal(json_array_size(made), 0);
    assert_null(made_missing(made));
    assert_null(made_missing(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(a_file_is_itself),
        SAMPLE_TEST(of_a_folder_its_files_and_links_are_listed),
        SAMPLE_TEST(what_was_there_before_is_not_of_the_step),
        SAMPLE_TEST(very_many_are_bounded),
        SAMPLE_TEST(nothing_made_lacks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which files a step has made, and which of them are gone or changed. */
#include "sample.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect(json_t *made, const char *const *names, const Sample *sample)
{
    assert_int_equal(json_object_size(made), g_strv_length((char **)names));
    for (guint i = 0; names[i] != NULL; i++) {
        g_autofree char *path = sample_path(sample, names[i]);
        assert_non_null(json_object_get(made, path));
    }
}

static void expect_stale(const json_t *made, const char *path, const char *how)
{
    g_autofree char *why = made_why_stale(made), *wanted = g_strdup_printf("%s, which it made, is not %s", path, how);
    assert_non_null(why);
    assert_string_equal(why, wanted);
}

static void expect_fresh(const json_t *made)
{
    g_autofree char *why = made_why_stale(made);
    assert_null(why);
}

static void a_file_is_itself(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    sample_write(sample, "out", "");
    g_autoptr(json_t) made = sample_made(path);
    expect(made, (const char *const[]){"out", NULL}, sample);
}

static void of_a_folder_its_files_and_links_are_listed(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out"), *link = sample_path(sample, "out/c");
    sample_write(sample, "out/b/file", "");
    sample_write(sample, "out/a", "");
    assert_int_equal(symlink("/nowhere", link), 0);
    g_autoptr(json_t) made = sample_made(path);
    expect(made, (const char *const[]){"out/a", "out/b/file", "out/c", NULL}, sample);
    expect_fresh(made);
    assert_int_equal(g_remove(link), 0);
    expect_stale(made, link, "there");
    assert_int_equal(symlink("/elsewher", link), 0);
    expect_fresh(NULL);
    expect_stale(made, link, "as it made it");
}

/* The person's own, and what another program writes beside it, before, while and after the step runs. */
static void only_what_the_step_wrote_counts(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out/a"), *gone = sample_path(sample, "out/gone");
    g_autofree char *folder = sample_path(sample, "out"), *other = sample_path(sample, "out/own");
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    char *const written[] = {path, gone, folder, path};
    for (guint i = 0; i < G_N_ELEMENTS(written); i++) {
        g_ptr_array_add(paths, written[i]);
    }
    sample_write(sample, "out/own", "");
    sample_write(sample, "out/a", "1");
    g_autoptr(json_t) made = made_list(paths);
    expect(made, (const char *const[]){"out/a", NULL}, sample);
    sample_write(sample, "out/own", "other");
    sample_write(sample, "out/more", "");
    expect_fresh(made);
    assert_int_equal(g_remove(other), 0);
    expect_fresh(made);
}

/* Another recipe's step, or a person, writes into the same name. */
static void other_bytes_are_seen(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    static const char *const others[] = {"2", "", "11", NULL};
    for (guint i = 0; others[i] != NULL; i++) {
        sample_write(sample, "out", "1");
        g_autoptr(json_t) made = sample_made(path);
        expect_fresh(made);
        sample_write(sample, "out", others[i]);
        expect_stale(made, path, "as it made it");
        sample_write(sample, "out", "1");
        expect_fresh(made);
    }
}

/* Neither written over in place nor with its old time set. */
static void a_copied_time_hides_nothing(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    struct stat st;
    sample_write(sample, "out", "1");
    assert_int_equal(stat(path, &st), 0);
    g_autoptr(json_t) made = sample_made(path);
    g_usleep(20000); /* the clock of a file system has ticks */
    g_auto(IngotFd) fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "2", 1), 1);
    assert_int_equal(utimensat(AT_FDCWD, path, (const struct timespec[]){st.st_atim, st.st_mtim}, 0), 0);
    expect_stale(made, path, "as it made it");
}

static void a_folder_in_place_of_a_file_is_seen(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    sample_write(sample, "out", "1");
    g_autoptr(json_t) made = sample_made(path);
    assert_int_equal(g_remove(path), 0);
    assert_int_equal(g_mkdir(path, 0700), 0);
    expect_stale(made, path, "as it made it");
}

static void all_of_very_many_count(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    assert_true(ingot_file_make_folder(path, NULL));
    for (guint i = 0; i < 1100; i++) {
        g_autofree char *name = g_strdup_printf("%s/%04u", path, i);
        assert_true(g_file_set_contents(name, "", 0, NULL));
    }
    g_autoptr(json_t) made = sample_made(path);
    assert_int_equal(json_object_size(made), 1100);
    g_autofree char *last = g_strdup_printf("%s/1099", path);
    assert_int_equal(g_remove(last), 0);
    expect_stale(made, last, "there");
}

/* As a record keeps it: names of any bytes. */
static void a_name_that_is_not_utf8_counts(void **state)
{
    const Sample *sample = *state;
    static const char *const names[] = {"out/\xff\\n\"", "out/\xc3\xa9\\303 \t", NULL};
    for (guint i = 0; names[i] != NULL; i++) {
        g_autofree char *path = sample_path(sample, names[i]);
        sample_write(sample, names[i], "1");
        g_autoptr(json_t) made = sample_made(path);
        g_autofree char *text = json_dumps(made, 0);
        assert_non_null(text);
        g_autoptr(json_t) back = json_loads(text, 0, NULL);
        expect_fresh(back);
        sample_write(sample, names[i], "2");
        expect_stale(back, path, "as it made it");
    }
}

static void what_a_later_step_makes_anew_is_its(void **state)
{
    const Sample *sample = *state;
    g_autofree char *folder = sample_path(sample, "out"), *path = sample_path(sample, "out/a");
    sample_write(sample, "out/a", "1");
    sample_write(sample, "out/b", "1");
    g_autoptr(json_t) earlier = sample_made(folder);
    sample_write(sample, "out/a", "2");
    g_autoptr(json_t) later = sample_made(path);
    g_autoptr(json_t) rest = made_without(earlier, later);
    expect_stale(earlier, path, "as it made it");
    expect(rest, (const char *const[]){"out/b", NULL}, sample);
    expect_fresh(rest);
    expect_fresh(later);
    assert_null(made_without(NULL, later));
}

/* Of an Ingot that noted the names alone. */
static void a_list_of_names_does_not_stand(void **state)
{
    (void)state;
    g_autoptr(json_t) made = json_pack("[s]", "/");
    g_autofree char *why = made_why_stale(made);
    assert_non_null(why);
}

static void nothing_made_lacks_nothing(void **state)
{
    const Sample *sample = *state;
    g_autofree char *path = sample_path(sample, "out");
    g_autoptr(json_t) made = sample_made(path);
    assert_int_equal(json_object_size(made), 0);
    expect_fresh(made);
    expect_fresh(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(a_file_is_itself),
        SAMPLE_TEST(of_a_folder_its_files_and_links_are_listed),
        SAMPLE_TEST(only_what_the_step_wrote_counts),
        SAMPLE_TEST(other_bytes_are_seen),
        SAMPLE_TEST(a_copied_time_hides_nothing),
        SAMPLE_TEST(a_folder_in_place_of_a_file_is_seen),
        SAMPLE_TEST(all_of_very_many_count),
        SAMPLE_TEST(a_name_that_is_not_utf8_counts),
        SAMPLE_TEST(what_a_later_step_makes_anew_is_its),
        SAMPLE_TEST(a_list_of_names_does_not_stand),
        SAMPLE_TEST(nothing_made_lacks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

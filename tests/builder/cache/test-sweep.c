/* What is left over goes once nobody can want it, and not before. */
#include "sample.h"

#include <utime.h>

#include "cache/sweep.h"

#define NOW ((gint64)1700000000)
#define DAY ((gint64)24 * 3600)

/* A file of the cache, last touched so many days before NOW. */
static void add(const Sample *sample, const char *name, double days)
{
    g_autofree char *inner = g_build_filename("cache", name, NULL), *path = sample_path(sample, inner);
    sample_write(sample, inner, "something");
    const time_t when = (time_t)(NOW - (gint64)(days * (double)DAY));
    assert_int_equal(g_utime(path, &(struct utimbuf){when, when}), 0);
}

static gboolean is_there(const Sample *sample, const char *name)
{
    g_autofree char *path = g_build_filename(sample->cache, name, NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static void sweep(const Sample *sample, gboolean all)
{
    sweep_leftovers(sample->cache, NOW, all);
}

static void no_cache_is_no_trouble(void **state)
{
    sweep(*state, TRUE);
}

static void what_a_killed_build_was_making_goes(void **state)
{
    static const char *const names[] = {"sources/key.making/tree/etc/passwd", "sources/image-1.making",
                                        "sources/from-2/disk.raw.making"};
    const Sample *sample = *state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        add(sample, names[i], 0);
    }
    add(sample, "sources/from-2/disk.raw", 0);
    sweep(sample, FALSE);
    assert_false(is_there(sample, "sources/key.making") || is_there(sample, names[1]) || is_there(sample, names[2]));
    assert_true(is_there(sample, "sources/from-2/disk.raw"));
    assert_false(is_there(sample, "sources/key.lock"));
}

static void what_a_build_is_making_stays(void **state)
{
    static const char *const names[] = {"key.making", "key.part", "key/disk.raw.making"};
    const Sample *sample = *state;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *name = g_build_filename("sources", names[i], NULL);
        add(sample, name, 100);
    }
    g_autofree char *lock_path = g_build_filename(sample->cache, "sources", "key.lock", NULL);
    g_autoptr(IngotLock) lock = ingot_lock_take(lock_path, TRUE, FALSE, NULL);
    sweep(sample, TRUE);
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *name = g_build_filename("sources", names[i], NULL);
        assert_true(is_there(sample, name));
    }
}

static void a_broken_download_is_kept_for_a_day(void **state)
{
    const Sample *sample = *state;
    add(sample, "sources/image-1.part", 0.9);
    add(sample, "sources/image-2.part", 1.1);
    sweep(sample, FALSE);
    assert_true(is_there(sample, "sources/image-1.part"));
    assert_false(is_there(sample, "sources/image-2.part"));
    sweep(sample, TRUE);
    assert_false(is_there(sample, "sources/image-1.part"));
}

/* Of a disk elsewhere there is nothing but the record of its check. */
static void what_is_about_an_absent_source_goes_with_age(void **state)
{
    static const char *const suffixes[] = {"checked", "use", "lock"};
    const Sample *sample = *state;
    add(sample, "sources/here", 1000);
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *here = g_strdup_printf("sources/here.%s", suffixes[i]);
        g_autofree char *old = g_strdup_printf("sources/old.%s", suffixes[i]);
        g_autofree char *new = g_strdup_printf("sources/new.%s", suffixes[i]);
        add(sample, here, 1000);
        add(sample, old, 91);
        add(sample, new, 89);
    }
    sweep(sample, FALSE);
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *here = g_strdup_printf("sources/here.%s", suffixes[i]);
        g_autofree char *old = g_strdup_printf("sources/old.%s", suffixes[i]);
        g_autofree char *new = g_strdup_printf("sources/new.%s", suffixes[i]);
        assert_true(is_there(sample, here) && is_there(sample, new));
        assert_false(is_there(sample, old));
    }
}

static void small_files_go_with_age(void **state)
{
    static const struct {
        const char *folder;
        double days;
    } rooms[] = {{"turns", 1}, {"images", 90}, {"plans", 90}};
    const Sample *sample = *state;
    for (guint i = 0; i < G_N_ELEMENTS(rooms); i++) {
        g_autofree char *old = g_build_filename(rooms[i].folder, "old", NULL);
        g_autofree char *new = g_build_filename(rooms[i].folder, "new", NULL);
        add(sample, old, rooms[i].days + 0.1);
        add(sample, new, rooms[i].days - 0.1);
        sweep(sample, FALSE);
        assert_false(is_there(sample, old));
        assert_true(is_there(sample, new));
    }
}

static void a_turn_that_is_taken_stays(void **state)
{
    const Sample *sample = *state;
    add(sample, "turns/key", 100);
    g_autofree char *path = g_build_filename(sample->cache, "turns", "key", NULL);
    g_autoptr(IngotLock) lock = ingot_lock_take(path, TRUE, FALSE, NULL);
    sweep(sample, TRUE);
    assert_true(is_there(sample, "turns/key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SAMPLE_TEST(no_cache_is_no_trouble),
        SAMPLE_TEST(what_a_killed_build_was_making_goes),
        SAMPLE_TEST(what_a_build_is_making_stays),
        SAMPLE_TEST(a_broken_download_is_kept_for_a_day),
        SAMPLE_TEST(what_is_about_an_absent_source_goes_with_age),
        SAMPLE_TEST(small_files_go_with_age),
        SAMPLE_TEST(a_turn_that_is_taken_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

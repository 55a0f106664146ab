/* What has come of a blob while it is copied: in any order, read by many, and over when the copy is. */
#include "../fixture.h"

#include "server/mirror/cold.h"

static Cold *begin(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "colds");
    assert_int_equal(g_mkdir_with_parents(path, 0700), 0);
    return cold_new(path);
}

static void what_has_come_is_given(void **state)
{
    Cold *cold = begin(state);
    g_autoptr(GByteArray) bytes = noise(1, 100000);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    g_autofree gboolean *come = g_new0(gboolean, 100);
    guint8 got[5000];
    gint64 patience;
    cold_watch(cold);
    for (guint i = 0; i < 300; i++) {
        guint at = (guint)g_rand_int_range(random, 0, 100), ask = (guint)g_rand_int_range(random, 0, 95);
        cold_add(cold, at * 1000, bytes->data + at * 1000, 1000);
        come[at] = TRUE;
        guint expected = 0;
        while (expected < 5 && come[ask + expected]) {
            expected++;
        }
        assert_int_equal(cold_take(cold, ask * 1000, got, sizeof got, &patience), expected * 1000);
        assert_int_equal(patience, 0); /* no copy runs: nothing is worth waiting for */
        assert_memory_equal(got, bytes->data + ask * 1000, expected * 1000);
    }
    cold_leave(cold);
}

static void what_is_near_is_worth_waiting_for(void **state)
{
    Cold *cold = begin(state);
    char got[8];
    gint64 first, next;
    cold_watch(cold);
    cold_begin(cold);
    assert_int_equal(cold_take(cold, 0, got, sizeof got, &first), 0);
    assert_true(first > 0);
    cold_add(cold, 0, "hello", 5);
    assert_int_equal(cold_take(cold, 0, got, sizeof got, &next), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(cold_take(cold, 3, got, sizeof got, &next), 2);
    assert_int_equal(cold_take(cold, 5, got, sizeof got, &next), 0);
    assert_true(next > first);
    assert_int_equal(cold_take(cold, (guint64)1 << 30, got, sizeof got, &next), 0);
    assert_int_equal(next, 0);
    cold_end(cold, FALSE);
    assert_int_equal(cold_take(cold, 5, got, sizeof got, &next), 0);
    assert_int_equal(next, 0);
    cold_leave(cold);
}

static void a_blob_that_is_read_is_not_forsaken(void **state)
{
    Cold *cold = begin(state);
    cold_watch(cold);
    g_usleep(2000);
    assert_int_equal(cold_forsaken(cold), 0);
    cold_ref(cold);
    cold_leave(cold);
    g_usleep(2000);
    assert_true(cold_forsaken(cold) >= 2000);
    cold_wait(cold);
    g_usleep(2000);
    assert_int_equal(cold_forsaken(cold), 0); /* however long the wait was */
    gint64 before = g_get_monotonic_time();
    cold_wait_end(cold);
    assert_true(cold_forsaken(cold) <= g_get_monotonic_time() - before);
    cold_unref(cold);
}

/* Bytes of the files below the folder that this process has open. */
static guint64 open_bytes(void **state)
{
    g_autofree char *folder = ingot_workdir_file(*state, "colds");
    g_autoptr(GDir) all = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;
    guint64 bytes = 0;
    while ((name = g_dir_read_name(all)) != NULL) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        GStatBuf info;
        if (target != NULL && g_str_has_prefix(target, folder) && g_stat(path, &info) == 0) {
            bytes += (guint64)info.st_size;
        }
    }
    return bytes;
}

/* However slowly somebody reads it. */
static void what_has_come_goes_with_the_copy(void **state)
{
    for (gint ok = FALSE; ok <= TRUE; ok++) {
        Cold *cold = begin(state);
        g_autoptr(GByteArray) bytes = noise(1, 100000);
        guint8 got[10];
        gint64 patience;
        cold_watch(cold);
        cold_begin(cold);
        cold_add(cold, 0, bytes->data, bytes->len);
        assert_int_equal(open_bytes(state), bytes->len);
        cold_end(cold, ok);
        assert_int_equal(open_bytes(state), 0);
        assert_int_equal(cold_take(cold, 0, got, sizeof got, &patience), 0);
        cold_ref(cold);
        cold_watch(cold); /* who comes now is given no file */
        cold_leave(cold);
        cold_leave(cold);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_come_is_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_near_is_worth_waiting_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blob_that_is_read_is_not_forsaken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_come_goes_with_the_copy, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

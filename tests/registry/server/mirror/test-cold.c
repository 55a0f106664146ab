/* What has come of a blob while it is copied: in any order, read by many, and over when the copy is. */
#include "../fixture.h"

#include "server/mirror/cold.h"

static Colds *open_colds(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "colds");
    assert_int_equal(g_mkdir(path, 0700), 0);
    return colds_new(path);
}

static void what_has_come_is_given(void **state)
{
    Colds *colds = open_colds(state);
    Cold *cold = colds_get(colds, "a");
    g_autoptr(GByteArray) bytes = noise(1, 100000);
    g_autoptr(GRand) random = g_rand_new_with_seed(7);
    g_autofree gboolean *come = g_new0(gboolean, 100);
    guint8 got[5000];
    assert_ptr_equal(colds_get(colds, "a"), cold);
    cold_watch(cold);
    for (guint i = 0; i < 300; i++) {
        guint at = (guint)g_rand_int_range(random, 0, 100), ask = (guint)g_rand_int_range(random, 0, 95);
        cold_add(cold, at * 1000, bytes->data + at * 1000, 1000);
        come[at] = TRUE;
        guint expected = 0;
        while (expected < 5 && come[ask + expected]) {
            expected++;
        }
        /* No copy runs: nobody waits. */
        assert_int_equal(cold_take(cold, ask * 1000, got, sizeof got), expected * 1000);
        assert_memory_equal(got, bytes->data + ask * 1000, expected * 1000);
    }
    cold_unref(cold);
    cold_unref(cold);
    colds_free(colds);
}

static gpointer bring(gpointer data)
{
    Cold *cold = data;
    g_usleep(50000);
    cold_add(cold, 0, "hello", 5);
    g_usleep(50000);
    cold_end(cold, FALSE);
    cold_unref(cold);
    return NULL;
}

static void who_is_near_waits(void **state)
{
    Colds *colds = open_colds(state);
    Cold *cold = colds_get(colds, "a");
    char got[8];
    cold_watch(cold);
    cold_begin(cold);
    GThread *thread = g_thread_new("bring", bring, colds_get(colds, "a"));
    assert_int_equal(cold_take(cold, 0, got, sizeof got), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(cold_take(cold, 3, got, sizeof got), 2);
    assert_int_equal(cold_wait(cold), COLD_FAILED);
    assert_int_equal(cold_take(cold, 5, got, sizeof got), 0);
    g_thread_join(thread);
    cold_unref(cold);
    colds_free(colds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_come_is_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_near_waits, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

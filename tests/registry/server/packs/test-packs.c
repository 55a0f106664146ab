/* Packs: numbers, putting, sharing, files that are removed under a reader, and files that somebody writes to. */
#include "../fixture.h"

#include "server/packs/packs.h"

static Packs *open_packs(void **state)
{
    g_autofree char *folder = ingot_workdir_file(*state, "packs");
    Packs *packs = packs_open(folder, NULL);
    assert_non_null(packs);
    return packs;
}

static void make(const Packs *packs, gint64 number, const char *text)
{
    g_autofree char *path = packs_path(packs, number);
    assert_true(ingot_file_replace(path, text, strlen(text), 0600, NULL));
}

static void assert_reads(const Pack *pack, const char *text)
{
    char found[16] = {0};
    guint64 size;
    assert_true(pack_size(pack, &size, NULL));
    assert_int_equal(size, strlen(text));
    assert_true(pack_read(pack, 0, found, size, NULL));
    assert_string_equal(found, text);
    g_autoptr(GError) error = NULL;
    assert_false(pack_read(pack, 1, found, size, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

/* A pack that is put has a new number each time, and the file that it was made of keeps its name. */
static void what_is_put_is_there(void **state)
{
    Packs *packs = open_packs(state);
    g_autofree char *path = ingot_workdir_file(*state, "staged");
    gint64 numbers[100];
    assert_true(ingot_file_replace(path, "bytes", 5, 0600, NULL));
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        assert_true(packs_put(packs, path, &numbers[i], NULL));
        assert_true(numbers[i] > 0);
        g_autoptr(Pack) pack = packs_get(packs, numbers[i], NULL);
        assert_reads(pack, "bytes");
    }
    g_autoptr(GArray) list = packs_list(packs, NULL);
    assert_int_equal(list->len, G_N_ELEMENTS(numbers));
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        assert_true(packs_remove(packs, numbers[i], NULL));
    }
    assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    g_autoptr(GError) error = NULL;
    unlink(path);
    assert_false(packs_put(packs, path, numbers, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    packs_close(packs);
}

static void numbers(void **state)
{
    Packs *packs = open_packs(state);
    make(packs, 7, "7");
    make(packs, 123456789012, "large");
    make(packs, 10, "10");
    g_autofree char *folder = ingot_workdir_file(*state, "packs");
    static const char *const others[] = {"x.pack", "5.pack.tmp", "-5.pack", "0.pack", "5", ".pack"};
    for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autofree char *path = g_build_filename(folder, others[i], NULL);
        assert_true(ingot_file_replace(path, "", 0, 0600, NULL));
    }
    g_autoptr(GArray) list = packs_list(packs, NULL);
    assert_int_equal(list->len, 3);
    assert_int_equal(g_array_index(list, gint64, 2), 123456789012);
    assert_int_equal(g_array_index(list, gint64, 0), 7);
    assert_int_equal(g_array_index(list, gint64, 1), 10);
    g_autoptr(GError) error = NULL;
    assert_null(packs_get(packs, 8, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    packs_close(packs);
}

static void who_holds_it_keeps_it(void **state)
{
    Packs *packs = open_packs(state);
    make(packs, 1, "old");
    Pack *first = packs_get(packs, 1, NULL), *same = packs_get(packs, 1, NULL);
    assert_ptr_equal(first, same);
    assert_true(packs_remove(packs, 1, NULL));
    assert_false(packs_remove(packs, 1, NULL));
    assert_null(packs_get(packs, 1, NULL));
    assert_reads(first, "old");
    /* Another of that number is another. */
    make(packs, 1, "new");
    Pack *other = packs_get(packs, 1, NULL);
    assert_ptr_not_equal(other, first);
    assert_reads(other, "new");
    pack_unref(first);
    assert_reads(same, "old");
    pack_unref(same);
    Pack *again = packs_get(packs, 1, NULL);
    assert_ptr_equal(again, other);
    pack_unref(again);
    pack_unref(other);
    packs_close(packs);
}

static void writing_makes_another_generation(void **state)
{
    Packs *packs = open_packs(state);
    make(packs, 1, "some text");
    g_autofree char *path = packs_path(packs, 1);
    Pack *pack = packs_get(packs, 1, NULL);
    guint32 before = pack_generation(pack);
    assert_int_not_equal(before, 0);
    assert_int_equal(pack_generation(pack), before);
    g_usleep(20000); /* a file's time is that of the system's last tick */
    flip(path, 3);
    guint32 after = pack_generation(pack);
    assert_int_not_equal(after, before);
    assert_int_equal(pack_generation(pack), after);
    pack_unref(pack);
    packs_close(packs);
}

static gpointer get_and_give_back(gpointer user)
{
    guint failed = 0;
    for (guint i = 0; i < 2000; i++) {
        g_autoptr(Pack) pack = packs_get(user, 1 + i % 3, NULL);
        char byte;
        failed += pack == NULL || !pack_read(pack, 0, &byte, 1, NULL) || pack_generation(pack) == 0;
    }
    return GUINT_TO_POINTER(failed);
}

static void many_at_once(void **state)
{
    Packs *packs = open_packs(state);
    GThread *threads[4];
    for (gint64 i = 1; i <= 3; i++) {
        make(packs, i, "x");
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("packs", get_and_give_back, packs);
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        assert_int_equal(GPOINTER_TO_UINT(g_thread_join(threads[i])), 0);
    }
    packs_close(packs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_put_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_holds_it_keeps_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writing_makes_another_generation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

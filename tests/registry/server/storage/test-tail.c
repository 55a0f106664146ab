/* The tail of the log: each event once and in order, of another process too, and across a checkpoint. */
#include "../fixture.h"

#include "server/storage/condense.h"
#include "server/storage/tail.h"

typedef struct {
    guint64 last;
    guint count, gaps;
} Taken;

static void take(guint64 number, const json_t *object, gpointer user)
{
    Taken *taken = user;
    assert_non_null(object);
    assert_true(number > taken->last);
    taken->gaps += number != taken->last + 1;
    taken->last = number;
    taken->count++;
}

static void look(Storage *storage, StorageTail *tail, Taken *taken)
{
    g_autoptr(GError) error = NULL;
    if (!storage_tail(storage, tail, take, taken, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(tail->number, taken->last);
}

static void test_each_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    StorageTail tail = {0};
    Taken taken = {0};
    look(storage, &tail, &taken);
    assert_int_equal(taken.count, 0);
    put_manifest(storage, "a", "one", "1", NULL, 0);
    look(storage, &tail, &taken);
    guint first = taken.count;
    assert_true(first > 0);
    look(storage, &tail, &taken);
    assert_int_equal(taken.count, first);
    put_manifest(storage, "a", "two", "2", NULL, 0);
    look(storage, &tail, &taken);
    assert_true(taken.count > first);
    assert_int_equal(taken.count, taken.last);
    assert_int_equal(taken.gaps, 0);
}

static void test_of_another_process(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) one = storage_open_shared(path, NULL), two = storage_open_shared(path, NULL);
    StorageTail tail = {0};
    Taken taken = {0};
    put_manifest(one, "a", "one", "1", NULL, 0);
    look(one, &tail, &taken);
    guint before = taken.count;
    put_manifest(two, "b", "one", "2", NULL, 0);
    look(one, &tail, &taken);
    assert_true(taken.count > before);
    assert_int_equal(taken.gaps, 0);
}

static void test_across_a_checkpoint(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1});
    StorageTail tail = {0}, late = {0}, whole = {.all = TRUE};
    Taken taken = {0}, left = {0}, each = {0};
    put_manifest(storage, "a", "one", "1", NULL, 0);
    look(storage, &tail, &taken);
    look(storage, &late, &left);
    look(storage, &whole, &each);
    put_manifest(storage, "a", "two", "2", NULL, 0);
    look(storage, &tail, &taken);
    gboolean done = FALSE;
    assert_true(condense_when_due(storage, &done, NULL));
    assert_true(done);
    put_manifest(storage, "a", "three", "3", NULL, 0);
    look(storage, &tail, &taken);
    assert_int_equal(taken.gaps, 0); /* it had taken all that the checkpoint stands for */
    look(storage, &late, &left);
    assert_int_equal(left.gaps, 1);
    assert_int_equal(left.last, taken.last);
    look(storage, &whole, &each); /* of the log that is kept */
    assert_int_equal(each.gaps, 0);
    assert_int_equal(each.count, each.last);
    assert_int_equal(each.last, taken.last);
}

/* Whatever the log's length: of that alone depends how long a server's start takes. */
static void test_begins_near_the_end(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1});
    StorageTail tail, all = {0};
    Taken taken = {0}, each = {0};
    assert_true(storage_tail_begin(storage, &tail, 3, NULL)); /* a log without events */
    assert_int_equal(tail.number, 0);
    put_manifest(storage, "a", "one", "1", NULL, 0);
    put_manifest(storage, "a", "two", "2", NULL, 0);
    look(storage, &all, &each);
    assert_true(each.last > 3);
    assert_true(storage_tail_begin(storage, &tail, 3, NULL));
    assert_int_equal(tail.number, each.last - 3);
    assert_true(tail.end > 0);
    taken.last = tail.number;
    look(storage, &tail, &taken);
    assert_int_equal(taken.count, 3);
    assert_int_equal(taken.gaps, 0);
    assert_int_equal(taken.last, each.last);
    assert_true(storage_tail_begin(storage, &tail, 1000, NULL));
    assert_int_equal(tail.number, 0);

    gboolean done = FALSE;
    assert_true(condense_when_due(storage, &done, NULL));
    assert_true(done);
    assert_true(storage_tail_begin(storage, &tail, 3, NULL)); /* none of the picture is an event */
    assert_int_equal(tail.number, each.last);
    put_manifest(storage, "a", "three", "3", NULL, 0);
    assert_true(storage_tail_begin(storage, &tail, 1000, NULL));
    assert_int_equal(tail.number, each.last);
    look(storage, &tail, &taken);
    assert_int_equal(taken.gaps, 0);
    assert_true(taken.last > each.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_another_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_across_a_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_begins_near_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

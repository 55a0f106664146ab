/* One thread at a time hands on what several bring, and those that bring do not wait for it. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <ingot/error.h>

#include "image/handover.h"

#define SIZE 16u     /* bytes of a batch */
#define FAILS_AT 100 /* the offset that the taker refuses */

typedef struct {
    Handover *handover;
    GMutex lock;
    GCond changed;
    gboolean begun, open; /* of the first one: it is with the taker, and may leave it */
    GArray *taken;        /* of guint64: offsets */
    GThread *taker;       /* of the last one */
} Fixture;

static gboolean take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    Fixture *f = user;
    g_mutex_lock(&f->lock);
    f->begun = TRUE;
    g_cond_signal(&f->changed);
    while (!f->open) {
        g_cond_wait(&f->changed, &f->lock);
    }
    g_array_append_val(f->taken, offset);
    f->taker = g_thread_self();
    g_mutex_unlock(&f->lock);
    assert_int_equal(size, SIZE);
    assert_int_equal(*(const guint8 *)data, (guint8)offset);
    if (offset == FAILS_AT) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "refused");
        return FALSE;
    }
    return TRUE;
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    g_mutex_init(&f->lock);
    g_cond_init(&f->changed);
    f->taken = g_array_new(FALSE, FALSE, sizeof(guint64));
    f->handover = handover_new(take, f, 4, SIZE);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    handover_free(f->handover);
    g_array_unref(f->taken);
    g_cond_clear(&f->changed);
    g_mutex_clear(&f->lock);
    g_free(f);
    return 0;
}

static gboolean bring(const Fixture *f, guint64 offset, GError **error)
{
    Batch *batch = handover_empty(f->handover);
    assert_int_equal(batch->size, 0);
    batch->offset = offset;
    batch->size = SIZE;
    memset(batch->data, (guint8)offset, SIZE);
    return handover_bring(f->handover, batch, error);
}

static gpointer bring_the_first(gpointer user)
{
    assert_true(bring(user, 1, NULL));
    return g_thread_self();
}

static void wait_until_begun(Fixture *f)
{
    g_mutex_lock(&f->lock);
    while (!f->begun) {
        g_cond_wait(&f->changed, &f->lock);
    }
    g_mutex_unlock(&f->lock);
}

static void let_through(Fixture *f)
{
    g_mutex_lock(&f->lock);
    f->open = TRUE;
    g_cond_signal(&f->changed);
    g_mutex_unlock(&f->lock);
}

/* If bring waited for the taker, this would not come to its end. */
static void what_is_brought_meanwhile_is_left(void **state)
{
    Fixture *f = *state;
    GThread *other = g_thread_new("first", bring_the_first, f);
    wait_until_begun(f);
    assert_true(bring(f, 2, NULL));
    assert_true(bring(f, 3, NULL));
    assert_int_equal(f->taken->len, 0);
    let_through(f);
    assert_ptr_equal(f->taker, g_thread_join(other)); /* the thread that was at it has done the others' as well */
    assert_int_equal(f->taken->len, 3);
    for (guint i = 0; i < 3; i++) {
        assert_int_equal(g_array_index(f->taken, guint64, i), i + 1);
    }
}

static void a_taker_that_fails_gets_no_more(void **state)
{
    Fixture *f = *state;
    g_autoptr(GError) error = NULL;
    f->open = TRUE;
    assert_true(bring(f, 1, NULL));
    assert_false(bring(f, FAILS_AT, &error));
    assert_string_equal(error->message, "refused");
    for (guint i = 0; i < 10; i++) { /* more than there are batches: they come back */
        assert_true(bring(f, 2, NULL));
    }
    assert_int_equal(f->taken->len, 2);
}

static void without_a_taker_they_come_back(void **state)
{
    (void)state;
    Handover *handover = handover_new(NULL, NULL, 2, SIZE);
    g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < 10; i++) {
        Batch *batch = handover_empty(handover);
        assert_int_equal(batch->size, 0);
        batch->size = SIZE;
        g_hash_table_add(seen, batch);
        assert_true(handover_bring(handover, batch, NULL));
    }
    assert_int_equal(g_hash_table_size(seen), 1);
    handover_free(handover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_brought_meanwhile_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_taker_that_fails_gets_no_more, set_up, tear_down),
        cmocka_unit_test(without_a_taker_they_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

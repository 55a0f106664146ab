/* What takes long ends once its thread's GCancellable is cancelled; other threads go on. (What signals do is in
 * test-process.c.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <ingot/digest.h>
#include <ingot/error.h>

#include "base/crew.h"
#include "base/file.h"
#include "base/process.h"

static gboolean is_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static gpointer check(gpointer interrupted)
{
    if (!ingot_interrupt_check(NULL)) {
        g_atomic_int_inc((gint *)interrupted);
    }
    return NULL;
}

static void test_own_thread(void **state)
{
    (void)state;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    g_autoptr(GError) error = NULL;
    gint interrupted = 0;
    assert_true(ingot_interrupt_check(NULL));
    assert_int_equal(ingot_interrupt_fd(), -1);
    g_cancellable_push_current(cancellable);
    int fd = ingot_interrupt_fd();
    assert_true(ingot_interrupt_check(&error));
    assert_false(is_readable(fd));
    g_cancellable_cancel(cancellable);
    assert_false(ingot_interrupt_check(&error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    assert_true(is_readable(fd));
    g_thread_join(g_thread_new("other", check, &interrupted));
    assert_int_equal(interrupted, 0);
    g_cancellable_pop_current(cancellable);
    assert_true(ingot_interrupt_check(NULL));
}

static void test_crew(void **state)
{
    (void)state;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    gint interrupted = 0;
    g_cancellable_cancel(cancellable);
    g_cancellable_push_current(cancellable);
    crew_run("crew", 4, check, &interrupted);
    g_cancellable_pop_current(cancellable);
    assert_int_equal(interrupted, 4);
    crew_run("crew", 4, check, &interrupted);
    assert_int_equal(interrupted, 4);
}

static gpointer cancel_soon(gpointer cancellable)
{
    g_usleep(G_USEC_PER_SEC / 20);
    g_cancellable_cancel(cancellable);
    return NULL;
}

/* The wait for a lock that is ended from another thread, and a file that is read. */
static void test_waits(void **state)
{
    (void)state;
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "lock");
    g_autoptr(IngotLock) lock = ingot_lock_take(path, TRUE, FALSE, NULL);
    assert_non_null(lock);
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    GThread *other = g_thread_new("cancel", cancel_soon, cancellable);
    g_cancellable_push_current(cancellable);
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotLock) second = ingot_lock_take(path, TRUE, TRUE, &error);
    assert_null(second);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    g_clear_error(&error);
    IngotDigest digest;
    assert_false(ingot_digest_of_file("/proc/self/exe", &digest, NULL, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    g_cancellable_pop_current(cancellable);
    g_thread_join(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_thread),
        cmocka_unit_test(test_crew),
        cmocka_unit_test(test_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

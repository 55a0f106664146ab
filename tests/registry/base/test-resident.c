/* What of a file is in memory: nothing after the kernel was asked to let it go, all of it after it was fetched. */
#include "base/resident.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define SIZE (4u << 20)

static IngotWorkdir *workdir;
static int fd;

static int set_up(void **state)
{
    (void)state;
    g_autofree guint8 *data = g_malloc0(SIZE);
    workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "file");
    fd = open(path, O_RDWR | O_CREAT, 0600);
    return fd >= 0 && write(fd, data, SIZE) == SIZE && fsync(fd) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    close(fd);
    ingot_workdir_free(workdir);
    return 0;
}

/* FALSE: this file system can't tell. */
static gboolean let_go(void)
{
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* no more is read than is asked for */
    return !resident_has(fd, 0, SIZE);
}

static void fetched_bytes_are_there(void **state)
{
    (void)state;
    if (!let_go()) {
        skip();
    }
    assert_false(resident_has(fd, 1u << 20, 100000));
    resident_fetch(fd, 1u << 20, 100000);
    assert_true(resident_has(fd, 1u << 20, 100000));
    assert_true(resident_has(fd, (1u << 20) + 5000, 10));
    assert_false(resident_has(fd, 0, SIZE));
    assert_false(resident_has(fd, (1u << 20) - 200000, 300000)); /* its start is not */
    assert_false(resident_has(fd, 1u << 20, 300000));            /* its end is not */
    resident_fetch(fd, 0, SIZE);
    assert_true(resident_has(fd, 0, SIZE));
    assert_true(resident_has(fd, SIZE - 1, 1));
    assert_true(resident_has(fd, 5, 0));
    resident_fetch(fd, SIZE - 10, 1000); /* what is not there ends it */
}

/* What is there is read, up to what is not. */
static void what_is_there_is_read_without_waiting(void **state)
{
    g_autofree guint8 *data = g_malloc(SIZE);
    (void)state;
    if (!let_go()) {
        skip();
    }
    assert_int_equal(resident_read(fd, 1u << 20, data, 100000), 0);
    resident_fetch(fd, 1u << 20, 131072);
    data[99999] = 1;
    assert_int_equal(resident_read(fd, 1u << 20, data, 100000), 100000);
    assert_int_equal(data[99999], 0);
    gsize some = resident_read(fd, 1u << 20, data, SIZE - (1u << 20));
    assert_true(some >= 100000 && some < SIZE - (1u << 20));
    assert_int_equal(resident_read(fd, 0, data, 4096), 0);
}

/* A pipe and the like: then there is nothing to wait for by this. */
static void what_can_not_tell_has_all(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_true(resident_has(ends[0], 0, SIZE));
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fetched_bytes_are_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_is_read_without_waiting, set_up, tear_down),
        cmocka_unit_test(what_can_not_tell_has_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

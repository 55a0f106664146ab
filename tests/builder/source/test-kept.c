/* Disks that the cache keeps: a flipped byte anywhere is found, holes that lie elsewhere are not a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above */
#include "base/file.h"
#include "base/process.h"
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/kept.h"

#define SIZE ((8 << 20) + 1000) /* bytes: not a whole number of blocks */

typedef struct {
    IngotWorkdir *workdir;
    char *path, *sum, *made;
} Fixture;

/* A disk with data at its begin, in the middle and at its very end. */
static void write_disk(const char *path)
{
    static const off_t places[] = {0, (4 << 20) + 7, SIZE - 5};
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        assert_int_equal(pwrite(fd, "data!", 5, places[i]), 5);
    }
    close(fd);
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->workdir = ingot_workdir_new(NULL);
    fixture->path = ingot_workdir_file(fixture->workdir, "disk.raw");
    fixture->sum = ingot_workdir_file(fixture->workdir, "disk.raw.sum");
    fixture->made = ingot_workdir_file(fixture->workdir, "disk.raw.making");
    write_disk(fixture->made);
    assert_true(kept_publish(fixture->made, fixture->path, NULL, NULL));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    ingot_workdir_free(fixture->workdir);
    g_free(fixture->path);
    g_free(fixture->sum);
    g_free(fixture->made);
    g_free(fixture);
    return 0;
}

static void flip(const char *path, off_t offset)
{
    char byte = 0;
    struct stat before;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &before) == 0 && pread(fd, &byte, 1, offset) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void test_whole(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_WHOLE);
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_WHOLE);
    assert_false(g_file_test(fixture->made, G_FILE_TEST_EXISTS));
}

static void test_flipped(void **state)
{
    static const off_t places[] = {0, 3, 65535, 1 << 20, (4 << 20) + 8, SIZE - 1, 6 << 20};
    const Fixture *fixture = *state;
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        flip(fixture->path, places[i]);
        assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_NONE);
        assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS) || g_file_test(fixture->sum, G_FILE_TEST_EXISTS));
        write_disk(fixture->made);
        assert_true(kept_publish(fixture->made, fixture->path, NULL, NULL));
    }
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_WHOLE);
}

/* The same bytes at another place, or fewer zeros at the end, are another disk. */
static void test_moved(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(truncate(fixture->path, SIZE - 5), 0);
    assert_int_equal(truncate(fixture->path, SIZE), 0);
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_NONE);
    write_disk(fixture->made);
    assert_true(kept_publish(fixture->made, fixture->path, NULL, NULL));
    assert_int_equal(truncate(fixture->path, SIZE + 65536), 0);
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_NONE);
}

/* A copy without holes, or with more of them, as cp makes it. */
static void test_holes(void **state)
{
    const Fixture *fixture = *state;
    static const char *const ways[] = {"--sparse=never", "--sparse=always"};
    g_autofree char *copy = ingot_workdir_file(fixture->workdir, "copy");
    for (guint i = 0; i < G_N_ELEMENTS(ways); i++) {
        const char *cp[] = {"cp", ways[i], fixture->path, copy, NULL};
        const char *mv[] = {"mv", copy, fixture->path, NULL};
        assert_true(ingot_process_run(cp, NULL, NULL, NULL) && ingot_process_run(mv, NULL, NULL, NULL));
        assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_WHOLE);
    }
}

/* A full cache: the disk is made, and serves the build that has made it. The next one does not trust it. */
static void test_checksum_not_noted(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(unlink(fixture->sum), 0);
    assert_int_equal(mkdir(fixture->sum, 0755), 0);
    write_disk(fixture->made);
    assert_true(kept_publish(fixture->made, fixture->path, NULL, NULL));
    assert_true(g_file_test(fixture->path, G_FILE_TEST_IS_REGULAR));
    assert_int_equal(rmdir(fixture->sum), 0);
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_NONE);
}

/* What a crash left, or an older Ingot: not taken on trust. */
static void test_no_checksum(void **state)
{
    const Fixture *fixture = *state;
    assert_int_equal(unlink(fixture->sum), 0);
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_NONE);
    assert_false(g_file_test(fixture->path, G_FILE_TEST_EXISTS));
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_NONE);
}

/* A checksum that can't be read now says nothing about the disk: it stays. */
static void test_unreadable_checksum(void **state)
{
    const Fixture *fixture = *state;
    struct rlimit before;
    g_autoptr(GError) error = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    KeptState kept = kept_find(fixture->path, NULL, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(kept, KEPT_FAILED);
    assert_non_null(error);
    assert_int_equal(kept_find(fixture->path, NULL, NULL), KEPT_WHOLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_whole),
                                       TEST(test_flipped),
                                       TEST(test_moved),
                                       TEST(test_holes),
                                       TEST(test_no_checksum),
                                       TEST(test_checksum_not_noted),
                                       TEST(test_unreadable_checksum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is kept of views: the chunks that came in, within the limit, the longest unused disk's going first. */
#include "server/views/unpacked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define CHUNK 4096u
#define COUNT 70u /* chunks of a disk; every tenth is a hole */
#define DATA (COUNT - COUNT / 10)

static IngotWorkdir *workdir;
static IngotIndex *disk_index;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    disk_index = ingot_index_new("none", 32768);
    for (guint i = 0; i < COUNT; i++) {
        IngotDigest digest = {.bytes = {(guint8)i}};
        ingot_index_add(disk_index, i % 10 == 0 ? NULL : &digest, CHUNK, 10);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_index_unref(disk_index);
    ingot_workdir_free(workdir);
    return 0;
}

static void keep(UnpackedDisk *disk, guint number)
{
    const IngotDiskCache *cache = unpacked_disk_cache(disk);
    guint8 data[CHUNK];
    memset(data, (int)number, sizeof data);
    cache->keep(cache->user, number, data);
}

static gboolean find(UnpackedDisk *disk, guint64 offset, void *buffer, gsize size)
{
    const IngotDiskCache *cache = unpacked_disk_cache(disk);
    return cache->find(cache->user, offset, buffer, size);
}

static void what_is_kept_is_found(void **state)
{
    (void)state;
    Unpacked *unpacked = unpacked_new(ingot_workdir_path(workdir), 1u << 20);
    UnpackedDisk *disk = unpacked_disk_new(unpacked, disk_index);
    guint8 buffer[4 * CHUNK];
    int fd;
    assert_false(find(disk, 0, buffer, 1)); /* a hole too, before there is a file */
    keep(disk, 1);
    keep(disk, 1);
    keep(disk, 2);
    assert_int_equal(unpacked_size(unpacked), 2 * CHUNK);
    assert_true(find(disk, 0, buffer, 3 * CHUNK));
    assert_true(buffer[CHUNK - 1] == 0 && buffer[CHUNK] == 1 && buffer[3 * CHUNK - 1] == 2);
    assert_false(find(disk, CHUNK, buffer, 2 * CHUNK + 1));
    assert_false(unpacked_disk_run(disk, CHUNK, 2 * CHUNK + 1, &fd));
    assert_true(unpacked_disk_run(disk, 2 * CHUNK - 1, 2, &fd));
    unpacked_disk_free(disk);
    assert_int_equal(unpacked_size(unpacked), 0);
    assert_int_equal(pread(fd, buffer, 2, 2 * CHUNK - 1), 2); /* who has begun to send it goes on */
    assert_true(buffer[0] == 1 && buffer[1] == 2);
    close(fd);
    unpacked_free(unpacked);
}

static void the_limit_holds(void **state)
{
    (void)state;
    Unpacked *unpacked = unpacked_new(ingot_workdir_path(workdir), 10 * CHUNK);
    UnpackedDisk *first = unpacked_disk_new(unpacked, disk_index), *second = unpacked_disk_new(unpacked, disk_index);
    guint8 buffer[CHUNK];
    for (guint i = 1; i < 10; i++) {
        keep(first, i);
    }
    keep(second, 1);
    assert_true(find(first, CHUNK, buffer, CHUNK));
    keep(second, 2); /* the other's all go for it */
    assert_int_equal(unpacked_size(unpacked), 2 * CHUNK);
    assert_false(find(first, CHUNK, buffer, CHUNK));
    assert_true(find(second, 2 * CHUNK, buffer, CHUNK));
    for (guint i = 0; i < COUNT; i++) {
        if (i % 10 != 0) {
            keep(second, i);
        }
    }
    assert_int_equal(unpacked_size(unpacked), 10 * CHUNK); /* its own are not thrown out for each other */
    keep(first, 5);
    assert_int_equal(unpacked_size(unpacked), CHUNK);
    assert_true(find(first, 5 * CHUNK, buffer, CHUNK) && buffer[0] == 5);
    unpacked_disk_free(first);
    unpacked_disk_free(second);
    unpacked_free(unpacked);
    Unpacked *nothing = unpacked_new(ingot_workdir_path(workdir), 0);
    UnpackedDisk *disk = unpacked_disk_new(nothing, disk_index);
    keep(disk, 1);
    assert_false(find(disk, CHUNK, buffer, CHUNK));
    unpacked_disk_free(disk);
    unpacked_free(nothing);
}

/* Two disks that throw each other out while they are read: what is found is right, and the sum stays so. */
typedef struct {
    UnpackedDisk *disk, *other;
    guint found;
} Reader;

static gpointer read_much(gpointer user)
{
    Reader *reader = user;
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint i = 0; i < 20000; i++) {
        guint number = (guint)g_rand_int_range(random, 0, COUNT);
        guint8 buffer[CHUNK];
        UnpackedDisk *disk = i / 500 % 2 == 0 ? reader->disk : reader->other;
        if (find(disk, (guint64)number * CHUNK, buffer, CHUNK)) {
            g_assert(buffer[0] == (number % 10 == 0 ? 0 : number) && buffer[CHUNK - 1] == buffer[0]);
            reader->found++;
        } else if (number % 10 != 0) {
            keep(disk, number);
        }
    }
    return NULL;
}

static void threads_see_what_is_true(void **state)
{
    (void)state;
    Unpacked *unpacked = unpacked_new(ingot_workdir_path(workdir), DATA * CHUNK);
    UnpackedDisk *first = unpacked_disk_new(unpacked, disk_index), *second = unpacked_disk_new(unpacked, disk_index);
    Reader readers[4] = {{first, second, 0}, {second, first, 0}, {first, second, 0}, {second, first, 0}};
    GThread *threads[4];
    for (guint i = 0; i < 4; i++) {
        threads[i] = g_thread_new("read", read_much, &readers[i]);
    }
    for (guint i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
        assert_true(readers[i].found > 0);
    }
    assert_true(unpacked_size(unpacked) <= DATA * CHUNK);
    unpacked_disk_free(first);
    unpacked_disk_free(second);
    assert_int_equal(unpacked_size(unpacked), 0);
    unpacked_free(unpacked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_found),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(threads_see_what_is_true),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

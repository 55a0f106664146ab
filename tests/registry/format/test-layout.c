/* Layouts: any range that is read is what the written file has there, however layouts stand in layouts. */
#include <fcntl.h>
#include <ingot/file.h>
#include <ingot/layout.h>
#include <ingot/packer.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SIZE (3u << 20) /* bytes of the disk */

static IngotWorkdir *workdir;
static IngotPacked *packed;
static IngotDisk *disk;

/* A disk of random bytes, with a hole in its middle. */
static int set_up(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = g_malloc0(SIZE);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint i = 0; i < SIZE; i++) {
        bytes[i] = i >= 1u << 20 && i < 2u << 20 ? 0 : (guint8)g_rand_int(random);
    }
    workdir = ingot_workdir_new(NULL);
    g_autofree char *raw = ingot_workdir_file(workdir, "disk.raw"), *blob = ingot_workdir_file(workdir, "blob");
    g_autoptr(IngotBlocks) blocks = NULL;
    if (!ingot_file_replace(raw, bytes, SIZE, 0644, NULL) || (blocks = ingot_blocks_open(raw, NULL, NULL)) == NULL) {
        return -1;
    }
    g_auto(IngotFd) fd = ingot_file_open(blob, O_RDWR | O_CREAT, 0644, NULL);
    packed = ingot_pack(blocks, &(IngotPackOptions){0}, fd, blob, NULL);
    disk = packed == NULL ? NULL : ingot_disk_open(blob, packed->index, NULL);
    return disk == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_disk_free(disk);
    ingot_packed_free(packed);
    ingot_workdir_free(workdir);
    return 0;
}

/* Its parts of the disk are apart from each other, and not in the disk's order. */
static IngotLayout *make(void)
{
    IngotLayout *inner = ingot_layout_new(), *middle = ingot_layout_new(), *outer = ingot_layout_new();
    ingot_layout_add_bytes(inner, "head", 4);
    ingot_layout_add_disk(inner, 2u << 20, 1u << 20);
    ingot_layout_add_zeros(inner, 1000);
    ingot_layout_add_zeros(inner, 24);
    ingot_layout_add_layout(middle, inner);
    ingot_layout_pad(middle, 4096);
    ingot_layout_add_bytes(outer, "before", 6);
    ingot_layout_add_layout(outer, middle);
    ingot_layout_add_bytes(outer, "", 0);
    ingot_layout_add_disk(outer, 100, 1000);
    ingot_layout_add_disk(outer, 1100, 1u << 20);
    ingot_layout_add_bytes(outer, "after", 5);
    ingot_layout_unref(inner);
    ingot_layout_unref(middle);
    return outer;
}

static void sizes_add_up(void **state)
{
    (void)state;
    g_autoptr(IngotLayout) layout = make();
    guint64 inner = 4 + (1u << 20) + 1024, middle = (inner + 4095) / 4096 * 4096;
    assert_int_equal(ingot_layout_size(layout), 6 + middle + 1000 + (1u << 20) + 5);
    g_autoptr(IngotLayout) empty = ingot_layout_new();
    assert_int_equal(ingot_layout_size(empty), 0);
    assert_true(ingot_layout_read(empty, 0, NULL, 0, disk, NULL));
}

static void ranges_are_the_file_s(void **state)
{
    (void)state;
    g_autoptr(IngotLayout) layout = make();
    g_autofree char *path = ingot_workdir_file(workdir, "written");
    assert_true(ingot_layout_export(layout, disk, path, NULL, NULL));
    g_autoptr(GBytes) bytes = ingot_file_read(path, 8u << 20, NULL);
    gsize size;
    const guint8 *file = g_bytes_get_data(bytes, &size);
    assert_int_equal(size, ingot_layout_size(layout));
    assert_memory_equal(file, "beforehead", 10);
    assert_memory_equal(file + size - 5, "after", 5);
    g_autofree guint8 *buffer = g_malloc(size);
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (guint i = 0; i < 300; i++) {
        gsize from = (gsize)g_rand_double_range(random, 0, (double)size);
        gsize most = g_rand_int(random) % 100000, count = i < 3 ? size - from : MIN(size - from, most);
        memset(buffer, 0xa5, count);
        assert_true(ingot_layout_read(layout, from, buffer, count, disk, NULL));
        assert_memory_equal(buffer, file + from, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes_add_up), cmocka_unit_test(ranges_are_the_file_s)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* Joined disks: a byte of any of them is read at its base, what lies between them is zeros, and each is gone through
 * once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/packer.h>
#include <string.h>

#include "base/file.h"

#define COUNT 3u

static const gsize sizes[COUNT] = {(1u << 20) + 4096, 4096, 300 * 4096};

typedef struct {
    IngotWorkdir *workdir;
    IngotPacked *packed[COUNT];
    guint8 *bytes[COUNT];
} Fixture;

static IngotDisk *open_disk(const Fixture *f, guint i)
{
    g_autofree char *name = g_strdup_printf("blob-%u", i), *path = ingot_workdir_file(f->workdir, name);
    return ingot_disk_open(path, f->packed[i]->index, NULL);
}

static void pack(Fixture *f, guint i)
{
    g_autofree char *name = g_strdup_printf("blob-%u", i), *path = ingot_workdir_file(f->workdir, name);
    g_autofree char *raw = ingot_workdir_file(f->workdir, "raw");
    g_autoptr(GRand) random = g_rand_new_with_seed(i);
    f->bytes[i] = g_malloc0(sizes[i]);
    for (gsize k = 0; k < sizes[i]; k++) {
        f->bytes[i][k] = (guint8)g_rand_int(random);
    }
    assert_true(ingot_file_replace(raw, f->bytes[i], sizes[i], 0600, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(raw, "raw", NULL);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT, 0644, NULL);
    f->packed[i] = ingot_pack(blocks, &(IngotPackOptions){0}, fd, path, NULL);
    assert_non_null(f->packed[i]);
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->workdir = ingot_workdir_new(NULL);
    for (guint i = 0; i < COUNT; i++) {
        pack(f, i);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    for (guint i = 0; i < COUNT; i++) {
        ingot_packed_free(f->packed[i]);
        g_free(f->bytes[i]);
    }
    ingot_workdir_free(f->workdir);
    g_free(f);
    return 0;
}

static IngotDisk *join(const Fixture *f, guint count)
{
    GPtrArray *disks = g_ptr_array_new();
    for (guint i = 0; i < count; i++) {
        g_ptr_array_add(disks, open_disk(f, i));
    }
    return ingot_disk_join(disks);
}

/* What stands at an offset of all of them joined. */
static guint8 byte_at(const Fixture *f, IngotDisk *disk, guint64 offset)
{
    guint i = ingot_disk_at(disk, offset);
    guint64 within = offset - ingot_disk_base(disk, i);
    return within < sizes[i] ? f->bytes[i][within] : 0;
}

static void one_alone_is_itself(void **state)
{
    g_autoptr(IngotDisk) disk = join(*state, 1);
    assert_int_equal(ingot_disk_count(disk), 1);
    assert_ptr_equal(ingot_disk_member(disk, 0), disk);
    assert_int_equal(ingot_disk_base(disk, 0), 0);
    assert_int_equal(ingot_disk_at(disk, 5), 0);
    assert_int_equal(ingot_disk_size(disk), sizes[0]);
    assert_int_equal(ingot_disk_index(disk)->disk_size, sizes[0]);
}

static void each_is_read_at_its_base(void **state)
{
    const Fixture *f = *state;
    g_autoptr(IngotDisk) disk = join(f, COUNT);
    guint64 end = ingot_disk_base(disk, COUNT - 1) + sizes[COUNT - 1];
    g_autofree guint8 *buffer = g_malloc(end);
    assert_int_equal(ingot_disk_count(disk), COUNT);
    assert_int_equal(ingot_disk_size(disk), sizes[0] + sizes[1] + sizes[2]);
    for (guint i = 1; i < COUNT; i++) {
        assert_int_equal(ingot_disk_base(disk, i), i * INGOT_DISK_BASE);
        assert_int_equal(ingot_disk_at(disk, i * INGOT_DISK_BASE), i);
        assert_int_equal(ingot_disk_at(disk, i * INGOT_DISK_BASE - 1), i - 1);
    }
    const guint64 ranges[][2] = {{0, end},
                                 {sizes[0] - 10, 20},
                                 {INGOT_DISK_BASE - 100, 200},
                                 {INGOT_DISK_BASE + 4000, 1000},
                                 {INGOT_DISK_BASE - 1, INGOT_DISK_BASE + 2},
                                 {end - 1, 1},
                                 {end, 0}};
    for (guint i = 0; i < G_N_ELEMENTS(ranges); i++) {
        memset(buffer, 0xa5, end);
        assert_true(ingot_disk_read(disk, ranges[i][0], buffer, ranges[i][1], NULL));
        for (guint64 k = 0; k < ranges[i][1]; k++) {
            if (buffer[k] != byte_at(f, disk, ranges[i][0] + k)) {
                fail_msg("range %u: byte %" G_GUINT64_FORMAT, i, k);
            }
        }
    }
    g_autoptr(GError) error = NULL;
    assert_false(ingot_disk_read(disk, end - 1, buffer, 2, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
}

typedef struct {
    const Fixture *f;
    IngotDisk *disk;
    GMutex lock;
    guint64 taken;
    gboolean wrong;
} Walk;

static gboolean take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    Walk *walk = user;
    (void)error;
    gboolean wrong = FALSE;
    for (gsize i = 0; i < size; i++) {
        wrong |= ((const guint8 *)data)[i] != byte_at(walk->f, walk->disk, offset + i);
    }
    g_mutex_lock(&walk->lock);
    walk->taken += size;
    walk->wrong |= wrong;
    g_mutex_unlock(&walk->lock);
    return TRUE;
}

static void all_are_gone_through_once(void **state)
{
    Walk walk = {.f = *state};
    g_autoptr(IngotDisk) disk = join(*state, COUNT);
    walk.disk = disk;
    assert_true(ingot_disk_each(disk, take, &walk, NULL, NULL));
    assert_false(walk.wrong);
    assert_int_equal(walk.taken, ingot_disk_size(disk)); /* random bytes have no holes */
    assert_true(ingot_disk_verify(disk, NULL, NULL));
}

static gboolean say_no(gpointer user, GError **error)
{
    (void)user;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "no");
    return FALSE;
}

static void one_gate_is_before_all(void **state)
{
    g_autoptr(IngotDisk) disk = join(*state, COUNT);
    guint8 byte;
    ingot_disk_set_gate(disk, say_no, NULL);
    for (guint i = 0; i < COUNT; i++) {
        g_autoptr(GError) error = NULL;
        assert_false(ingot_disk_read(disk, ingot_disk_base(disk, i), &byte, 1, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_alone_is_itself),
        cmocka_unit_test(each_is_read_at_its_base),
        cmocka_unit_test(all_are_gone_through_once),
        cmocka_unit_test(one_gate_is_before_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

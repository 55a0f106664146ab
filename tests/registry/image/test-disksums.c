/* A disk that was found right by its digests is checked by the sums of its frames from then on: what changes is found
 * as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>

#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/packer.h>

#include "base/file.h"
#include "image/frames.h"

#define MIB (1u << 20)
#define SIZE (4u * MIB)

static IngotWorkdir *workdir;
static IngotPacked *packed;
static guint8 *blob; /* its bytes, from which disks are read */

/* A hole, words that compress, and bytes that do not. */
static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    g_autofree char *raw = ingot_workdir_file(workdir, "raw"), *path = ingot_workdir_file(workdir, "blob");
    g_autofree guint8 *bytes = g_malloc0(SIZE);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (gsize i = MIB; i < SIZE; i++) {
        guint one = g_rand_int(random);
        bytes[i] = i < 2 * MIB ? (guint8) "ingot sums "[one % 11] : (guint8)one;
    }
    if (!ingot_file_replace(raw, bytes, SIZE, 0600, NULL)) {
        return -1;
    }
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(raw, "raw", NULL);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT, 0600, NULL);
    packed = ingot_pack(blocks, &(IngotPackOptions){0}, fd, path, NULL);
    g_autoptr(GBytes) all = ingot_file_read(path, 2 * SIZE, NULL);
    blob = all == NULL ? NULL : g_memdup2(g_bytes_get_data(all, NULL), g_bytes_get_size(all));
    return packed == NULL || blob == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    g_free(blob);
    ingot_packed_free(packed);
    ingot_workdir_free(workdir);
    return 0;
}

static gboolean read_blob(gpointer from, guint64 offset, void *buffer, gsize size, GError **error)
{
    (void)error;
    memcpy(buffer, (const guint8 *)from + offset, size);
    return TRUE;
}

static IngotDisk *open_disk(IngotIndex *index, GBytes *table)
{
    IngotDisk *disk = ingot_disk_new(read_blob, blob, NULL, "blob", index);
    ingot_disk_remember(disk, table);
    return disk;
}

/* What is remembered of the disk by that index, once all of it is read. */
static GBytes *table_of(IngotIndex *index)
{
    g_autoptr(IngotDisk) disk = open_disk(index, NULL);
    assert_null(ingot_disk_table(disk));
    assert_true(ingot_disk_verify(disk, NULL, NULL));
    return ingot_disk_table(disk);
}

static void all_of_it_is_remembered_once(void **state)
{
    (void)state;
    guint8 bytes[4096];
    g_autoptr(IngotDisk) disk = open_disk(packed->index, NULL);
    assert_true(ingot_disk_read(disk, MIB, bytes, sizeof bytes, NULL));
    assert_null(ingot_disk_table(disk)); /* of a part */
    assert_true(ingot_disk_verify(disk, NULL, NULL));
    g_autoptr(GBytes) table = ingot_disk_table(disk);
    assert_non_null(table);
    g_autoptr(IngotDisk) again = open_disk(packed->index, table);
    assert_true(ingot_disk_verify(again, NULL, NULL));
    assert_null(ingot_disk_table(again)); /* nothing new */
}

static void every_change_is_found(void **state)
{
    (void)state;
    g_autoptr(GBytes) table = table_of(packed->index);
    g_autoptr(GRand) random = g_rand_new_with_seed(2);
    for (guint i = 0; i < 50; i++) {
        g_autoptr(GError) error = NULL;
        gsize at = (gsize)g_rand_int_range(random, 0, (gint32)packed->index->blob_size);
        g_autoptr(IngotDisk) disk = open_disk(packed->index, table);
        blob[at] ^= (guint8)(1u << i % 8);
        assert_false(ingot_disk_verify(disk, NULL, &error));
        blob[at] ^= (guint8)(1u << i % 8);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_non_null(strstr(error->message, "at offset"));
    }
}

/* The same disk, but for one digest. */
static IngotIndex *other_index(void)
{
    IngotIndex *index = ingot_index_new(packed->index->encoder, packed->index->average);
    for (guint i = 0; i < packed->index->chunks->len; i++) {
        const IngotChunk *chunk = ingot_index_chunk(packed->index, i);
        IngotDigest digest = chunk->digest;
        digest.bytes[0] ^= i == packed->index->chunks->len - 1;
        ingot_index_add(index, chunk->hole ? NULL : &digest, chunk->length, chunk->stored_length);
    }
    return index;
}

/* A sum stands for the digest of its own index alone. */
static void what_is_remembered_is_of_one_index(void **state)
{
    (void)state;
    g_autoptr(IngotIndex) other = other_index();
    g_autoptr(GBytes) table = table_of(packed->index);
    g_autoptr(IngotDisk) without = open_disk(other, NULL);
    assert_false(ingot_disk_verify(without, NULL, NULL));
    g_autoptr(IngotDisk) with = open_disk(other, table);
    assert_false(ingot_disk_verify(with, NULL, NULL));
    assert_null(ingot_disk_table(with));
    /* A table that says so is believed: its digests are not worked out again. */
    gsize size;
    const void *bytes = g_bytes_get_data(table, &size);
    g_autoptr(GArray) numbered = frames_sums(bytes, size, packed->index);
    g_autoptr(GArray) sums = g_array_new(FALSE, FALSE, sizeof(FrameSum));
    for (guint i = 0; i < packed->index->chunks->len; i++) {
        if (!ingot_index_chunk(packed->index, i)->hole) {
            g_array_append_val(sums, g_array_index(numbered, FrameSum, i));
        }
    }
    g_autoptr(GBytes) says_so = frames_table(other, sums);
    g_autoptr(IngotDisk) believed = open_disk(other, says_so);
    assert_true(ingot_disk_verify(believed, NULL, NULL));
}

static void a_damaged_table_is_passed_over(void **state)
{
    (void)state;
    g_autoptr(GBytes) table = table_of(packed->index);
    gsize size;
    g_autofree guint8 *bytes = g_memdup2(g_bytes_get_data(table, &size), g_bytes_get_size(table));
    for (gsize at = 0; at < size; at += 97) {
        bytes[at] ^= 1;
        g_autoptr(GBytes) damaged = g_bytes_new(bytes, size);
        g_autoptr(GBytes) cut = g_bytes_new(bytes, at);
        bytes[at] ^= 1;
        g_autoptr(IngotDisk) disk = open_disk(packed->index, damaged);
        assert_true(ingot_disk_verify(disk, NULL, NULL));
        g_autoptr(GBytes) found = ingot_disk_table(disk);
        assert_true(g_bytes_equal(found, table));
        ingot_disk_remember(disk, cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_remembered_once),
        cmocka_unit_test(every_change_is_found),
        cmocka_unit_test(what_is_remembered_is_of_one_index),
        cmocka_unit_test(a_damaged_table_is_passed_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

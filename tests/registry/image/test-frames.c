/* Frames that are made already: what takes them gives the same bytes as what makes them, whatever has become of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ingot/packer.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/encoder.h"
#include "image/frames.h"

#define MIB (1u << 20)
#define SIZE (6u * MIB)

static IngotWorkdir *workdir;

static int set_up(void **state)
{
    (void)state;
    workdir = ingot_workdir_new(NULL);
    return workdir == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    ingot_workdir_free(workdir);
    return 0;
}

/* Half of the disk is words that compress, with a hole before them. */
static guint8 *disk_new(guint32 seed)
{
    guint8 *bytes = g_malloc0(SIZE);
    g_autoptr(GRand) random = g_rand_new_with_seed(seed);
    for (gsize i = 2 * MIB; i < SIZE; i++) {
        bytes[i] = (guint8)("ingot frame "[g_rand_int_range(random, 0, 12)]);
    }
    return bytes;
}

/* The disk's blob under that name. */
static IngotPacked *pack(const guint8 *bytes, const char *name, const IngotFrames *frames, guint threads)
{
    g_autofree char *disk = ingot_workdir_file(workdir, "disk.raw");
    g_autofree char *path = ingot_workdir_file(workdir, name);
    assert_true(ingot_file_replace(disk, bytes, SIZE, 0600, NULL));
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(disk, "raw", NULL);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, NULL);
    IngotPackOptions options = {.threads = threads};
    IngotPacked *packed = frames_pack(blocks, &options, frames, fd, path, NULL);
    assert_non_null(packed);
    return packed;
}

static int blob_open(const char *name)
{
    g_autofree char *path = ingot_workdir_file(workdir, name);
    int fd = ingot_file_open(path, O_RDWR, 0, NULL);
    assert_true(fd >= 0);
    return fd;
}

static gboolean add(IngotFrames *frames, GBytes *table, const char *name)
{
    return frames_add(frames, g_bytes_get_data(table, NULL), g_bytes_get_size(table), blob_open(name));
}

/* Two packs of one disk: the blobs are one, and so are the tables for the next. */
static void assert_same(const IngotPacked *a, const IngotPacked *b)
{
    g_autoptr(GBytes) one = ingot_index_serialize(a->index);
    g_autoptr(GBytes) two = ingot_index_serialize(b->index);
    assert_memory_equal(&a->digest, &b->digest, sizeof a->digest);
    assert_true(g_bytes_equal(one, two));
    assert_true(g_bytes_equal(a->table, b->table));
}

/* The n-th chunk that is no hole. */
static const IngotChunk *data_chunk(const IngotPacked *packed, guint n)
{
    for (guint i = 0;; i++) {
        const IngotChunk *chunk = ingot_index_chunk(packed->index, i);
        if (!chunk->hole && n-- == 0) {
            return chunk;
        }
    }
}

static void flip(const char *name, guint64 offset)
{
    g_auto(IngotFd) fd = blob_open(name);
    guint8 byte;
    assert_true(ingot_file_pread(fd, &byte, 1, offset, name, NULL));
    byte ^= 0x10;
    assert_true(ingot_file_pwrite(fd, &byte, 1, offset, name, NULL));
}

static void taken_frames_are_the_same_bytes(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = disk_new(1);
    g_autoptr(IngotPacked) first = pack(bytes, "first", NULL, 1);
    assert_int_equal(first->taken, 0);
    g_autoptr(IngotFrames) frames = frames_new();
    assert_true(add(frames, first->table, "first"));
    memcpy(bytes + 3 * MIB, "other bytes", 11);
    g_autoptr(IngotPacked) made = pack(bytes, "made", NULL, 1);
    static const guint counts[] = {1, 3};
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(IngotPacked) taken = pack(bytes, "taken", frames, counts[i]);
        assert_same(made, taken);
        assert_true(taken->taken > 0 && taken->taken < taken->data);
    }
    /* A blob of which a part was taken gives its frames as any other. */
    g_autoptr(IngotPacked) taken = pack(bytes, "taken", frames, 2);
    g_autoptr(IngotFrames) next = frames_new();
    assert_true(add(next, taken->table, "taken"));
    g_autoptr(IngotPacked) again = pack(bytes, "again", next, 2);
    assert_same(made, again);
    assert_int_equal(again->taken, again->data);
}

static void a_damaged_frame_is_made_anew(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = disk_new(2);
    g_autoptr(IngotPacked) made = pack(bytes, "blob", NULL, 1);
    g_autoptr(IngotFrames) frames = frames_new();
    assert_true(add(frames, made->table, "blob"));
    /* A bit of the frame's head too, of which zstd's decoder makes nothing. */
    const IngotChunk *one = data_chunk(made, 1), *other = data_chunk(made, 4);
    flip("blob", one->stored_offset + 4);
    flip("blob", other->stored_offset + other->stored_length - 1);
    g_autoptr(IngotPacked) again = pack(bytes, "again", frames, 2);
    assert_same(made, again);
    assert_int_equal(again->taken, again->data - one->length - other->length);
    /* The blob's second half is away. */
    g_auto(IngotFd) fd = blob_open("blob");
    assert_int_equal(ftruncate(fd, (off_t)(made->size / 2)), 0);
    g_autoptr(IngotPacked) rest = pack(bytes, "rest", frames, 2);
    assert_same(made, rest);
    assert_true(rest->taken < again->taken && rest->taken > 0);
}

/* The blob of another disk behind the table: its bytes are those of other frames. */
static void a_table_of_another_blob_gives_nothing(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = disk_new(3), *others = disk_new(4);
    g_autoptr(IngotPacked) made = pack(bytes, "made", NULL, 1);
    g_autoptr(IngotPacked) other = pack(others, "other", NULL, 1);
    g_autoptr(IngotFrames) frames = frames_new();
    assert_true(add(frames, made->table, "other"));
    g_autoptr(IngotPacked) again = pack(bytes, "again", frames, 2);
    assert_same(made, again);
    assert_int_equal(again->taken, 0);
}

/* The same chunks and frames, said to be of another encoder. */
static void another_encoders_frames_are_not_taken(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = disk_new(5);
    g_autoptr(IngotPacked) made = pack(bytes, "blob", NULL, 1);
    static const char *const names[] = {NULL, "zstd 1.4.0 level 3"};
    for (guint n = 0; n < G_N_ELEMENTS(names); n++) {
        const char *name = names[n] == NULL ? ingot_encoder_name() : names[n];
        g_autoptr(IngotIndex) index = ingot_index_new(name, made->index->average);
        g_autoptr(GArray) sums = g_array_new(FALSE, FALSE, sizeof(FrameSum));
        g_auto(IngotFd) fd = blob_open("blob");
        for (guint i = 0; i < made->index->chunks->len; i++) {
            const IngotChunk *chunk = ingot_index_chunk(made->index, i);
            g_autofree guint8 *frame = g_malloc(chunk->stored_length);
            assert_true(ingot_file_pread(fd, frame, chunk->stored_length, chunk->stored_offset, "blob", NULL));
            ingot_index_add(index, chunk->hole ? NULL : &chunk->digest, chunk->length, chunk->stored_length);
            FrameSum sum = frame_sum(frame, chunk->stored_length);
            if (!chunk->hole) {
                g_array_append_val(sums, sum);
            }
        }
        g_autoptr(GBytes) table = frames_table(index, sums);
        g_autoptr(IngotFrames) frames = frames_new();
        assert_int_equal(add(frames, table, "blob"), names[n] == NULL);
        g_autoptr(IngotPacked) again = pack(bytes, "again", frames, 2);
        assert_same(made, again);
        assert_int_equal(again->taken, names[n] == NULL ? again->data : 0);
    }
}

static void a_damaged_table_is_refused(void **state)
{
    (void)state;
    g_autofree guint8 *bytes = disk_new(6);
    g_autoptr(IngotPacked) made = pack(bytes, "blob", NULL, 1);
    gsize size;
    const guint8 *table = g_bytes_get_data(made->table, &size);
    g_autoptr(IngotFrames) frames = frames_new();
    for (gsize i = 0; i < size; i++) {
        g_autofree guint8 *damaged = g_memdup2(table, size);
        damaged[i] ^= 1;
        assert_false(frames_add(frames, damaged, size, blob_open("blob")));
        assert_false(frames_add(frames, table, i, blob_open("blob")));
    }
    g_autoptr(IngotPacked) again = pack(bytes, "again", frames, 2);
    assert_int_equal(again->taken, 0);
    assert_true(frames_add(frames, table, size, blob_open("blob")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_frames_are_the_same_bytes),
        cmocka_unit_test(a_damaged_frame_is_made_anew),
        cmocka_unit_test(a_table_of_another_blob_gives_nothing),
        cmocka_unit_test(another_encoders_frames_are_not_taken),
        cmocka_unit_test(a_damaged_table_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

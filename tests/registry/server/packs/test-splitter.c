/* The splitter: cuts fall where frames end, and nowhere else but after PIECE_MAX bytes, however the bytes come. */
#include "../fixture.h"

#include "server/packs/splitter.h"

/* Where pieces end, when `step` bytes come at a time (0: all at once). */
static GArray *cuts_of(const GByteArray *bytes, gsize step)
{
    Splitter splitter;
    GArray *cuts = g_array_new(FALSE, FALSE, sizeof(guint64));
    splitter_begin(&splitter);
    for (gsize at = 0, have = 0; at < bytes->len;) {
        have = have > 0 ? have : MIN(step == 0 ? bytes->len : step, bytes->len - at);
        gboolean ends;
        gsize count = splitter_take(&splitter, bytes->data + at, have, &ends);
        assert_true(count > 0 && count <= have && (ends || count == have));
        at += count;
        have -= count;
        guint64 cut = at;
        if (ends) {
            g_array_append_val(cuts, cut);
        }
    }
    return cuts;
}

static void assert_cuts(const GByteArray *bytes, const guint64 *wanted, guint count)
{
    static const gsize steps[] = {0, 1, 7, 4096, 131072, PIECE_MAX};
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_autoptr(GArray) cuts = cuts_of(bytes, steps[i]);
        assert_int_equal(cuts->len, count);
        for (guint k = 0; k < count; k++) {
            assert_int_equal(g_array_index(cuts, guint64, k), wanted[k]);
        }
    }
}

/* Leaves out the ends that come too early for a cut; how many are left. */
static guint leave_cuts(guint64 *ends, guint count)
{
    guint left = 0;
    for (guint i = 0; i < count; i++) {
        if (ends[i] - (left == 0 ? 0 : ends[left - 1]) >= PIECE_LEAST) {
            ends[left++] = ends[i];
        }
    }
    return left;
}

/* A flood of the smallest frames there are makes few pieces. */
static void small_frames_share_a_piece(void **state)
{
    (void)state;
    static const guint8 empty[] = {0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0};
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint64 ends[] = {4096, 8192, 12288};
    for (guint i = 0; i < 4 * 512 - 1; i++) {
        g_byte_array_append(bytes, empty, sizeof empty);
    }
    assert_cuts(bytes, ends, G_N_ELEMENTS(ends));
}

static void frames_are_pieces(void **state)
{
    (void)state;
    static const gsize sizes[] = {1, 0, 100, 5000, 300000, 70000};
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint64 ends[2 * G_N_ELEMENTS(sizes)];
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        add_bytes(bytes, frame(i, sizes[i / 2], i % 2));
        ends[i] = bytes->len;
    }
    assert_cuts(bytes, ends, leave_cuts(ends, G_N_ELEMENTS(ends)));
}

/* Blocks of one byte that is repeated, blocks that are compressed, and a stream whose length is told nowhere. */
static void every_kind_of_block(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = g_byte_array_new(), plain = g_byte_array_new();
    guint64 ends[3];
    g_byte_array_set_size(plain, 900000);
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        for (guint at = 0; at < plain->len; at++) {
            plain->data[at] = (guint8)(i == 0 ? 0 : at / (i * 7));
        }
        guint8 *out = g_malloc(ZSTD_compressBound(plain->len));
        ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, i != 2);
        size_t count = ZSTD_compress2(context, out, ZSTD_compressBound(plain->len), plain->data, plain->len);
        ZSTD_freeCCtx(context);
        g_byte_array_append(bytes, out, (guint)count);
        g_free(out);
        ends[i] = bytes->len;
    }
    guint count = leave_cuts(ends, G_N_ELEMENTS(ends));
    assert_true(count > 0);
    assert_cuts(bytes, ends, count);
}

static void add_skippable(GByteArray *bytes, guint8 nibble, guint32 size)
{
    const guint8 head[] = {0x50 | nibble, 0x2A, 0x4D, 0x18, (guint8)size, (guint8)(size >> 8), (guint8)(size >> 16), 0};
    g_byte_array_append(bytes, head, sizeof head);
    add_bytes(bytes, noise(nibble, size));
}

static void skippable_frames_are_pieces(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint64 ends[5];
    add_skippable(bytes, 0, 0);
    ends[0] = bytes->len;
    add_bytes(bytes, frame(1, 1000, TRUE));
    ends[1] = bytes->len;
    add_skippable(bytes, 15, 70000);
    ends[2] = bytes->len;
    add_skippable(bytes, 7, PIECE_MAX);
    ends[3] = ends[2] + PIECE_MAX;
    ends[4] = bytes->len;
    assert_cuts(bytes, ends, leave_cuts(ends, G_N_ELEMENTS(ends)));
}

static void long_frames_are_cut(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = frame(1, 5000, FALSE);
    guint64 ends[5] = {bytes->len};
    add_bytes(bytes, frame(2, 2 * PIECE_MAX + 500000, TRUE));
    ends[1] = ends[0] + PIECE_MAX;
    ends[2] = ends[1] + PIECE_MAX;
    ends[3] = bytes->len;
    add_bytes(bytes, frame(3, 5000, FALSE));
    ends[4] = bytes->len;
    assert_cuts(bytes, ends, G_N_ELEMENTS(ends));
}

static void anything_else_is_cut_by_length(void **state)
{
    (void)state;
    static const gsize sizes[] = {1, 3, 4, PIECE_MAX - 1, PIECE_MAX, PIECE_MAX + 1, 3 * PIECE_MAX + 7};
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GByteArray) bytes = noise(1, sizes[i]);
        guint64 ends[] = {PIECE_MAX, 2 * PIECE_MAX, 3 * PIECE_MAX};
        assert_cuts(bytes, ends, (guint)(sizes[i] / PIECE_MAX));
    }
}

static void garbage_after_frames(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bytes = frames(1, 2, 5000);
    guint64 ends[4], all = bytes->len;
    ends[1] = all;
    ends[0] = all / 2;
    add_bytes(bytes, noise(9, PIECE_MAX + 1000));
    ends[2] = all + PIECE_MAX;
    assert_cuts(bytes, ends, 3);
    /* A frame behind it is garbage too. */
    add_bytes(bytes, frame(3, 5000, FALSE));
    assert_cuts(bytes, ends, 3);
}

/* What is no zstd after all is cut by length from the last whole frame on. */
static void reserved_bits_end_it(void **state)
{
    (void)state;
    for (guint kind = 0; kind < 2; kind++) {
        g_autoptr(GByteArray) bytes = frame(1, 5000, FALSE);
        guint64 ends[] = {bytes->len, bytes->len + PIECE_MAX};
        guint second = bytes->len;
        add_bytes(bytes, frame(2, 5000, FALSE));
        guint8 descriptor = bytes->data[second + 4];
        assert_int_equal(descriptor & 0x20, 0x20);
        guint block = second + 5 + (descriptor >> 6 == 0 ? 1 : descriptor >> 6 == 1 ? 2 : 4);
        bytes->data[kind == 0 ? block : second + 4] |= kind == 0 ? 6 : 8;
        add_bytes(bytes, frame(3, 5000, FALSE));
        add_bytes(bytes, noise(4, PIECE_MAX));
        assert_cuts(bytes, ends, G_N_ELEMENTS(ends));
    }
}

/* Whatever comes: the same cuts in steps of any length, and no piece of more than PIECE_MAX bytes, or of none. */
static void damaged_frames_are_cut_alike(void **state)
{
    (void)state;
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint round = 0; round < 300; round++) {
        g_autoptr(GByteArray) bytes = g_byte_array_new();
        for (gint n = g_rand_int_range(random, 1, 5); n > 0; n--) {
            add_bytes(bytes, frame(g_rand_int(random), (gsize)g_rand_int_range(random, 0, 3000), n % 2));
        }
        for (gint n = g_rand_int_range(random, 0, 4); n > 0; n--) {
            gint at = g_rand_int_range(random, 0, (gint)MIN(bytes->len, 64));
            bytes->data[at] = (guint8)g_rand_int(random);
        }
        g_autoptr(GArray) once = cuts_of(bytes, 0), single = cuts_of(bytes, 1);
        g_autoptr(GArray) some = cuts_of(bytes, (gsize)g_rand_int_range(random, 2, 500));
        assert_int_equal(once->len, single->len);
        assert_int_equal(once->len, some->len);
        guint64 before = 0;
        for (guint i = 0; i < once->len; i++) {
            guint64 cut = g_array_index(once, guint64, i);
            assert_true(cut > before && cut - before <= PIECE_MAX);
            assert_int_equal(cut, g_array_index(single, guint64, i));
            assert_int_equal(cut, g_array_index(some, guint64, i));
            before = cut;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_frames_share_a_piece),   cmocka_unit_test(frames_are_pieces),
        cmocka_unit_test(every_kind_of_block),          cmocka_unit_test(skippable_frames_are_pieces),
        cmocka_unit_test(long_frames_are_cut),          cmocka_unit_test(anything_else_is_cut_by_length),
        cmocka_unit_test(garbage_after_frames),         cmocka_unit_test(reserved_bits_end_it),
        cmocka_unit_test(damaged_frames_are_cut_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

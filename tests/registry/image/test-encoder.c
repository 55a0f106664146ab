/* What a decoder keeps of frames that somebody else made. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "image/encoder.h"

#define LENGTHS 200u      /* holes of 1 to 200 blocks: 78 MiB together */
#define KEPT (1u << 20)   /* bytes that a decoder may keep of them */
#define BLOCK (64u << 10) /* of a frame, bytes */

static void put(GByteArray *frame, guint32 value, guint bytes)
{
    value = GUINT32_TO_LE(value);
    g_byte_array_append(frame, (const guint8 *)&value, bytes);
}

/* Zeros as they are, by RFC 8878: a frame as long as what it holds, which no compressor makes. */
static GByteArray *write_zeros(guint32 length)
{
    static const guint8 zeros[BLOCK];
    GByteArray *frame = g_byte_array_new();
    put(frame, 0xFD2FB528, 4);
    put(frame, 0xA0, 1); /* one segment, its size in four bytes */
    put(frame, length, 4);
    for (guint32 at = 0; at < length; at += BLOCK) {
        guint32 part = MIN(BLOCK, length - at);
        put(frame, part << 3 | (at + part == length), 3);
        g_byte_array_append(frame, zeros, part);
    }
    return frame;
}

static gsize memory_used(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void long_frames_of_holes_are_not_kept(void **state)
{
    (void)state;
    g_autoptr(IngotDecoder) decoder = ingot_decoder_new();
    gsize before = 0;
    for (guint i = 1; i <= LENGTHS; i++) {
        g_autoptr(GByteArray) frame = write_zeros(i * INGOT_BLOCK_SIZE);
        const IngotChunk chunk = {.length = i * INGOT_BLOCK_SIZE, .stored_length = frame->len, .hole = TRUE};
        assert_true(ingot_decoder_chunk(decoder, &chunk, frame->data, NULL, "some.disk", NULL));
        g_clear_pointer(&frame, g_byte_array_unref);
        before = before == 0 ? memory_used() : before;
    }
    assert_true(memory_used() < before + KEPT);
}

/* Of each length of the last chunk there may be another frame. */
static void few_frames_of_holes_are_kept(void **state)
{
    (void)state;
    g_autoptr(IngotDecoder) decoder = ingot_decoder_new();
    g_autoptr(IngotEncoder) encoder = ingot_encoder_new();
    gsize before = memory_used();
    for (guint length = 1; length <= 20000; length++) {
        guint8 frame[100];
        g_autofree guint8 *zeros = g_malloc0(length);
        const IngotChunk chunk = {.length = length,
                                  .stored_length = (guint32)ingot_encoder_frame(encoder, zeros, length, frame),
                                  .hole = TRUE};
        assert_true(chunk.stored_length <= sizeof frame);
        assert_true(ingot_decoder_chunk(decoder, &chunk, frame, NULL, "some.disk", NULL));
    }
    assert_true(memory_used() < before + 2 * KEPT);
}

/* The longest hole's frame is one that is kept. */
static void frames_of_this_encoder_are_short(void **state)
{
    (void)state;
    g_autoptr(IngotEncoder) encoder = ingot_encoder_new();
    assert_true(g_bytes_get_size(ingot_encoder_hole(encoder, INGOT_HOLE_MAX)) < 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_frames_of_holes_are_not_kept),
        cmocka_unit_test(few_frames_of_holes_are_kept),
        cmocka_unit_test(frames_of_this_encoder_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Indexes that say more than can be: refused before they are unpacked. */
#include <ingot/error.h>
#include <ingot/index.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <zstd.h>

#include <cmocka.h>

#include "image/oldindex.h"
#include "many.h"

#define CHUNKS 2300000u            /* of the bomb: 92 MB of text, and 147 MB of an index in memory */
#define TEXT (44 + CHUNKS * 40ull) /* header, name, lengths and digests */
#define DISK (CHUNKS * 4096ull)
#define PART 65536u

static void put32(guint8 *at, guint32 value)
{
    value = GUINT32_TO_LE(value);
    memcpy(at, &value, sizeof value);
}

static void put64(guint8 *at, guint64 value)
{
    value = GUINT64_TO_LE(value);
    memcpy(at, &value, sizeof value);
}

/* The start of an index of so many chunks, encoded by "none". */
static void write_header(guint8 *text, guint32 version, guint64 disk_size, guint64 count)
{
    memcpy(text, "INGOTIDX", 8);
    put32(text + 8, version);
    put32(text + 12, INGOT_BLOCK_SIZE);
    put32(text + 16, 32768);
    put32(text + 20, 4);
    put64(text + 24, disk_size);
    put64(text + 32, count);
    memcpy(text + 40, "none", 4);
}

/* Goes on with holes of a block after the header's 44 bytes. */
static void write_holes(guint8 *text)
{
    for (guint at = 4; at < PART; at += 8) {
        put32(text + at - 4, 20 | 0x80000000u);
        put32(text + at, INGOT_BLOCK_SIZE);
    }
}

/* A text of that size that begins so and goes on with holes; it is never in memory as a whole. */
static GByteArray *pack(guint32 version, guint64 disk_size, guint64 count, gsize size)
{
    guint8 text[PART];
    GByteArray *packed = g_byte_array_new();
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setPledgedSrcSize(context, size);
    write_holes(text);
    write_header(text, version, disk_size, count);
    for (gsize at = 0; at < size; at += PART) {
        gsize part = MIN(PART, size - at);
        guint8 out[2 * PART];
        ZSTD_inBuffer from = {text, part, 0};
        ZSTD_outBuffer to = {out, sizeof out, 0};
        assert_int_equal(ZSTD_compressStream2(context, &to, &from, at + part == size ? ZSTD_e_end : ZSTD_e_flush), 0);
        g_byte_array_append(packed, out, (guint)to.pos);
        write_holes(text);
    }
    ZSTD_freeCCtx(context);
    return packed;
}

static glong most_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss; /* KiB */
}

static void assert_refused(const GByteArray *packed, guint64 blob_size, const char *why)
{
    g_autoptr(GError) error = NULL;
    gsize memory;
    glong before = most_memory();
    assert_false(ingot_index_check(packed->data, packed->len, blob_size, "some.index", &memory, NULL));
    assert_null(ingot_index_parse_for(packed->data, packed->len, blob_size, "some.index", &error));
    assert_true(most_memory() - before < 50000);
    if (strstr(error->message, why) == NULL) {
        fail_msg("%s", error->message);
    }
}

static void a_bomb_is_not_unpacked(void **state)
{
    (void)state;
    g_autoptr(GByteArray) bomb = pack(INGOT_INDEX_VERSION, DISK, CHUNKS, TEXT);
    assert_true(bomb->len < 200000);
    assert_refused(bomb, CHUNKS, "impossible number of chunks"); /* its blob has no room for so many frames */
    assert_refused(bomb, G_MAXUINT64, "more chunks than so few bytes tell of");
}

/* 8 TiB that were never written are 1,000,000 holes. */
static void a_great_index_is_not_in_memory_twice(void **state)
{
    (void)state;
    const guint32 count = 1000000;
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) packed = pack(INGOT_INDEX_VERSION, count * 4096ull, count, 44 + count * 8ull);
    glong before = most_memory(), taken = (glong)(count * sizeof(IngotChunk) / 1024);
    g_autoptr(IngotIndex) index = ingot_index_parse_for(packed->data, packed->len, G_MAXUINT64, "some.index", &error);
    assert_null(error);
    assert_int_equal(index->chunks->len, count);
    assert_int_equal(index->disk_size, count * 4096ull);
    assert_true(most_memory() - before < taken + 6000);
}

/* A frame may carry a sum of its text, which comes last. */
static void a_wrong_sum_is_found(void **state)
{
    (void)state;
    guint8 text[52] = {0}, packed[200];
    write_header(text, INGOT_INDEX_VERSION, 4096, 1);
    put32(text + 44, 4096);
    put32(text + 48, 20 | 0x80000000u);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t size = ZSTD_compress2(context, packed, sizeof packed, text, sizeof text);
    ZSTD_freeCCtx(context);
    assert_false(ZSTD_isError(size));
    g_autoptr(IngotIndex) right = ingot_index_parse(packed, size, "some.index", NULL);
    assert_non_null(right);
    packed[size - 1] ^= 1;
    assert_null(ingot_index_parse(packed, size, "some.index", NULL));
}

static void a_count_is_of_this_world(void **state)
{
    (void)state;
    static const struct {
        guint32 version;
        guint64 disk_size, count;
        gsize size;
        const char *why;
    } rows[] = {
        {1, DISK, 0, 1000, "impossible number of chunks"},
        {1, 4096, 3, 1000, "impossible number of chunks"},                  /* more than the disk has blocks */
        {1, G_MAXUINT64, G_MAXUINT64, 1000, "impossible number of chunks"}, /* more than are ever written */
        {1, 4096, 1, 90u << 20, "more than its chunks take"},               /* little is said, much would come */
        {1, DISK, 200, 1000, "impossible number of chunks"},                /* they are not there */
        {2, 4096, 1, 100u << 20, "newer than this Ingot knows"},
        {0, 4096, 1, 100u << 20, "no version 0"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GByteArray) packed = pack(rows[i].version, rows[i].disk_size, rows[i].count, rows[i].size);
        assert_refused(packed, G_MAXUINT64, rows[i].why);
    }
}

static void what_is_true_is_read(void **state)
{
    (void)state;
    g_autoptr(IngotIndex) index = ingot_index_new("none", 32768);
    for (guint i = 0; i < 100; i++) {
        const IngotDigest digest = {.bytes = {(guint8)i}};
        ingot_index_add(index, i % 2 == 0 ? NULL : &digest, INGOT_BLOCK_SIZE, 20);
    }
    g_autoptr(GBytes) bytes = ingot_index_serialize(index);
    gsize memory, size = g_bytes_get_size(bytes);
    const void *data = g_bytes_get_data(bytes, NULL);
    assert_true(ingot_index_check(data, size, index->blob_size, "some.index", &memory, NULL));
    assert_in_range(memory, 100 * sizeof(IngotChunk), 200 * sizeof(IngotChunk));
    g_autoptr(IngotIndex) again = ingot_index_parse_for(data, size, index->blob_size, "some.index", NULL);
    assert_int_equal(again->chunks->len, 100);
    assert_null(ingot_index_parse_for(data, size, 100, "some.index", NULL)); /* of another blob */
}

static void assert_too_many(GError **error, const char *told)
{
    assert_true(g_error_matches(*error, INGOT_ERROR, INGOT_ERROR_LIMIT));
    assert_string_equal((*error)->message, told);
    g_clear_error(error);
}

/* Nothing in it is damaged: older releases wrote it. */
static void more_chunks_than_are_taken(void **state)
{
    (void)state;
    static const char told[] = "some.index: its index has 2400001 chunks; at most 2400000 are taken";
    const guint data = 400000;
    g_autoptr(GBytes) bytes = index_of_many(data, INGOT_INDEX_CHUNKS_MAX + 1 - data);
    gsize memory, size = g_bytes_get_size(bytes);
    const void *at = g_bytes_get_data(bytes, NULL);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_index_parse(at, size, "some.index", &error));
    assert_too_many(&error, told);
    assert_null(ingot_index_parse_for(at, size, G_MAXUINT64, "some.index", &error));
    assert_too_many(&error, told);
    assert_false(ingot_index_check(at, size, G_MAXUINT64, "some.index", &memory, &error));
    assert_too_many(&error, told);
    assert_false(oldindex_refuse(at, OLDINDEX_HEAD, "some.index", &error));
    assert_too_many(&error, told);
    g_autoptr(IngotIndex) index = oldindex_parse(at, size, G_MAXUINT64, "some.index", &error);
    assert_null(error);
    assert_int_equal(index->chunks->len, INGOT_INDEX_CHUNKS_MAX + 1);

    const guint64 count = OLDINDEX_CHUNKS_MAX + 1;
    g_autoptr(GByteArray) more = pack(INGOT_INDEX_VERSION, count * INGOT_BLOCK_SIZE, count, 44 + count * 8);
    assert_null(oldindex_parse(more->data, more->len, G_MAXUINT64, "some.index", &error));
    assert_too_many(&error, "some.index: its index has 6000001 chunks; at most 6000000 are taken");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_true_is_read),   cmocka_unit_test(a_count_is_of_this_world),
        cmocka_unit_test(a_bomb_is_not_unpacked), cmocka_unit_test(a_great_index_is_not_in_memory_twice),
        cmocka_unit_test(a_wrong_sum_is_found),   cmocka_unit_test(more_chunks_than_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

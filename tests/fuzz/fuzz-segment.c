/* Segments: the input is taken for a pack of one segment, and for the table of one whose head fits it, which a fuzzer
 * would hardly find a digest for. A table that is accepted makes sense, and written again has the same bytes. */
#include <fcntl.h>
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz.h"
#include "server/packs/segment.h"
#include "server/packs/splitter.h"

#define TABLE_HEAD 44 /* bytes before the first piece */

static IngotWorkdir *workdir;
static Packs *packs;

static void clean_up(void)
{
    packs_close(packs);
    ingot_workdir_free(workdir);
}

static void set_up(void)
{
    g_autoptr(GError) error = NULL;
    if (workdir == NULL) {
        workdir = ingot_workdir_new(&error);
        g_assert_no_error(error);
        packs = packs_open(ingot_workdir_path(workdir), &error);
        g_assert_no_error(error);
        atexit(clean_up);
    }
}

/* The file of a pack of that number, with these bytes. */
static int write_pack(gint64 number, const void *data, gsize size)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = packs_path(packs, number);
    int fd = ingot_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, &error);
    g_assert_no_error(error);
    g_assert(ingot_file_pwrite(fd, data, size, 0, path, NULL));
    return fd;
}

/* All lengths are within their bounds, and their sums are what the segment says. */
static void check_table(const Table *table, guint64 data)
{
    guint64 all = 0, fresh = 0;
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        g_assert(piece->length > 0 && piece->length <= PIECE_MAX);
        all += piece->length;
        fresh += piece->fresh ? piece->length : 0;
    }
    g_assert(fresh == data && (!table_has_blob(table) || table->size == all));
}

/* The table and head that are written for it are those that were read. */
static void check_again(const Table *table, const guint8 *bytes, guint64 data, guint64 end)
{
    guint64 again_end;
    g_auto(IngotFd) fd = write_pack(2, "", 0);
    g_assert(segment_finish(fd, 0, data, table, &again_end, "again", NULL));
    g_assert(again_end == end);
    gsize size = (gsize)(end - SEGMENT_HEAD - data);
    g_autofree guint8 *again = g_malloc(SEGMENT_HEAD + size);
    g_assert(pread(fd, again, SEGMENT_HEAD, 0) == SEGMENT_HEAD);
    g_assert(pread(fd, again + SEGMENT_HEAD, size, (off_t)(SEGMENT_HEAD + data)) == (ssize_t)size);
    g_assert(memcmp(again, bytes, SEGMENT_HEAD) == 0);
    g_assert(memcmp(again + SEGMENT_HEAD, bytes + SEGMENT_HEAD + data, size) == 0);
}

static void try_pack(const guint8 *bytes, gsize size)
{
    g_autoptr(GError) error = NULL;
    guint64 data, end;
    g_auto(IngotFd) fd = write_pack(1, bytes, size);
    g_autoptr(Pack) pack = packs_get(packs, 1, &error);
    g_assert_no_error(error);
    g_autoptr(Table) table = segment_read(pack, 0, size, &data, &end, &error);
    g_assert((table == NULL) == (error != NULL));
    if (table == NULL) {
        g_assert(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        g_assert(end <= size);
        return;
    }
    g_assert(end <= size && end == SEGMENT_HEAD + data + TABLE_HEAD + table->pieces->len * (guint64)36);
    check_table(table, data);
    check_again(table, bytes, data, end);
}

/* The input behind its first four bytes, which say how much data stands before it, is a table. */
static void try_table(const uint8_t *input, size_t size)
{
    guint32 data;
    if (size < sizeof data) {
        return;
    }
    memcpy(&data, input, sizeof data);
    data = GUINT32_FROM_LE(data) % (1u << 16);
    const uint8_t *text = input + sizeof data;
    gsize text_size = size - sizeof data;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_set_size(bytes, (guint)(SEGMENT_HEAD + data));
    memset(bytes->data, 0, bytes->len);
    guint32 version = GUINT32_TO_LE(1);
    guint64 sizes[] = {GUINT64_TO_LE((guint64)data), GUINT64_TO_LE((guint64)text_size)};
    IngotDigest digest;
    ingot_digest_of(text, text_size, &digest);
    memcpy(bytes->data, "INGOTSEG", 8);
    memcpy(bytes->data + 8, &version, sizeof version);
    memcpy(bytes->data + 16, sizes, sizeof sizes);
    memcpy(bytes->data + 32, digest.bytes, sizeof digest.bytes);
    g_byte_array_append(bytes, text, (guint)text_size);
    try_pack(bytes->data, bytes->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    try_pack(data, size);
    try_table(data, size);
    return 0;
}

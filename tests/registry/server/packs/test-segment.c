/* Segments: what was written is read again, and nothing else is taken for one. */
#include "../fixture.h"

#include "server/packs/segment.h"
#include "server/packs/splitter.h"

#define AT 100 /* where the segment stands in its file */

/* Three pieces, of which the second was there; its bytes are 1, 0 and 2 times 1000. */
static Table *some_table(gboolean blob)
{
    Table *table = table_new();
    IngotDigest digest;
    for (guint i = 0; i < 3; i++) {
        ingot_digest_of(&i, sizeof i, &digest);
        table_add(table, &digest, i == 2 ? 2000 : 1000, i != 1);
    }
    if (blob) {
        ingot_digest_of("blob", 4, &table->blob);
        table->size = 4000;
    }
    return table;
}

/* The pack that the segment stands in, and a descriptor to write to its file. */
typedef struct {
    Packs *packs;
    Pack *pack;
    int fd;
} Written;

static void written_clear(Written *written)
{
    pack_unref(written->pack);
    packs_close(written->packs);
    close(written->fd);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Written, written_clear)

static Written write_segment(void **state, const Table *table, guint64 data, guint64 *end)
{
    Packs *packs = packs_open(ingot_workdir_path(*state), NULL);
    g_autofree char *path = packs_path(packs, 1);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    g_autoptr(GByteArray) bytes = noise(1, AT + SEGMENT_HEAD + data);
    assert_int_equal(pwrite(fd, bytes->data, bytes->len, 0), bytes->len);
    assert_true(segment_finish(fd, AT, data, table, end, "segment", NULL));
    return (Written){.packs = packs, .pack = packs_get(packs, 1, NULL), .fd = fd};
}

static void round_trip(void **state)
{
    for (int blob = 0; blob < 2; blob++) {
        g_autoptr(Table) table = some_table(blob);
        guint64 end, data, read_end;
        g_auto(Written) written = write_segment(state, table, 3000, &end);
        assert_int_equal(lseek(written.fd, 0, SEEK_END), end);
        g_autoptr(Table) read = segment_read(written.pack, AT, end, &data, &read_end, NULL);
        assert_non_null(read);
        assert_int_equal(data, 3000);
        assert_int_equal(read_end, end);
        assert_int_equal(table_has_blob(read), blob);
        assert_true(ingot_digest_equal(&read->blob, &table->blob));
        assert_int_equal(read->size, table->size);
        assert_int_equal(read->pieces->len, 3);
        for (guint i = 0; i < 3; i++) {
            assert_memory_equal(&table_piece(read, i)->digest, &table_piece(table, i)->digest, INGOT_DIGEST_SIZE);
            assert_int_equal(table_piece(read, i)->length, table_piece(table, i)->length);
            assert_int_equal(table_piece(read, i)->fresh, i != 1);
        }
    }
}

static void a_blob_of_nothing(void **state)
{
    g_autoptr(Table) table = table_new();
    guint64 end, data, read_end;
    ingot_digest_of("", 0, &table->blob);
    g_auto(Written) written = write_segment(state, table, 0, &end);
    g_autoptr(Table) read = segment_read(written.pack, AT, end, &data, &read_end, NULL);
    assert_non_null(read);
    assert_true(table_has_blob(read));
    assert_int_equal(read->pieces->len, 0);
}

static void assert_refused(const Pack *pack, guint64 size)
{
    guint64 data, end;
    g_autoptr(GError) error = NULL;
    assert_null(segment_read(pack, AT, size, &data, &end, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void every_flipped_bit_is_refused(void **state)
{
    g_autoptr(Table) table = some_table(TRUE);
    guint64 end, data, read_end;
    g_auto(Written) written = write_segment(state, table, 3000, &end);
    for (guint64 at = AT; at < end; at++) {
        guint8 byte;
        if (at == AT + SEGMENT_HEAD) {
            at += 3000; /* the data: pieces have digests of their own */
        }
        assert_int_equal(pread(written.fd, &byte, 1, (off_t)at), 1);
        for (guint bit = 0; bit < 8; bit++) {
            guint8 other = byte ^ (guint8)(1u << bit);
            assert_int_equal(pwrite(written.fd, &other, 1, (off_t)at), 1);
            assert_refused(written.pack, end);
        }
        assert_int_equal(pwrite(written.fd, &byte, 1, (off_t)at), 1);
    }
    g_autoptr(Table) read = segment_read(written.pack, AT, end, &data, &read_end, NULL);
    assert_non_null(read);
}

static void cut_short(void **state)
{
    g_autoptr(Table) table = some_table(TRUE);
    guint64 end;
    g_auto(Written) written = write_segment(state, table, 3000, &end);
    for (guint64 size = 0; size < end; size++) {
        assert_refused(written.pack, size);
    }
    /* The file itself, whatever the catalogue says of its length. */
    for (guint64 size = end - 1; size > AT; size -= MIN(size - AT, 97)) {
        assert_int_equal(ftruncate(written.fd, (off_t)size), 0);
        assert_refused(written.pack, end);
    }
}

/* Tables that contradict themselves, though their digest fits. */
static void tables_that_make_no_sense(void **state)
{
    for (guint kind = 0; kind < 4; kind++) {
        g_autoptr(Table) table = some_table(TRUE);
        guint64 end, data = 3000;
        if (kind == 0) {
            table->size++;
        } else if (kind == 1) {
            g_array_index(table->pieces, Piece, 1).length = 0;
            table->size -= 1000;
        } else if (kind == 2) {
            g_array_index(table->pieces, Piece, 1).length = PIECE_MAX + 1;
            table->size += PIECE_MAX + 1 - 1000;
        } else {
            data++;
        }
        g_auto(Written) written = write_segment(state, table, data, &end);
        assert_refused(written.pack, end);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blob_of_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_flipped_bit_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tables_that_make_no_sense, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

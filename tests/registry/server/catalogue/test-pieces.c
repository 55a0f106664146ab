/* Pieces are found many at a time, each where it was asked for, known or not, once or twice. */
#include "../fixture.h"

#include "server/catalogue/pieces.h"
#include "server/catalogue/schema.h"

#define PIECES 5000u

static IngotDigest digest_number(guint number)
{
    IngotDigest digest;
    ingot_digest_of(&number, sizeof number, &digest);
    return digest;
}

static Database *fill(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue");
    Database *database = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(database);
    Connection *writer = database_begin(database, NULL);
    assert_true(pieces_add_pack(writer, 7, 100, NULL));
    for (guint i = 0; i < PIECES; i += 2) { /* every other one is there */
        IngotDigest digest = digest_number(i);
        assert_true(pieces_put(writer, &digest, 4096 + i, 7, (guint64)i * 10000, NULL));
    }
    assert_true(database_end(database, TRUE, NULL));
    return database;
}

static void many_are_found_at_once(void **state)
{
    static const guint counts[] = {0, 1, 2, 1023, 1024, 1025, 3000};
    g_autoptr(Database) database = fill(state);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    for (guint c = 0; c < G_N_ELEMENTS(counts); c++) {
        guint count = counts[c];
        g_autofree guint *numbers = g_new(guint, count + 1);
        g_autofree IngotDigest *digests = g_new(IngotDigest, count + 1);
        g_autofree const IngotDigest **asked = g_new(const IngotDigest *, count + 1);
        g_autofree PieceRow *rows = g_malloc((count + 1) * sizeof *rows);
        memset(rows, 0xee, (count + 1) * sizeof *rows);
        for (guint i = 0; i < count; i++) {
            numbers[i] = (guint)g_rand_int_range(random, 0, PIECES);
            digests[i] = digest_number(numbers[i]);
            asked[i] = &digests[i];
        }
        assert_true(pieces_find(reader, asked, count, rows, NULL));
        for (guint i = 0; i < count; i++) {
            gboolean there = numbers[i] % 2 == 0;
            assert_int_equal(rows[i].id > 0, there);
            assert_int_equal(rows[i].length, there ? 4096 + numbers[i] : 0);
            assert_int_equal(rows[i].offset, there ? (guint64)numbers[i] * 10000 : 0);
            assert_int_equal(rows[i].pack, there ? 7 : 0);
            assert_false(rows[i].damaged || rows[i].marked);
        }
    }
    g_clear_pointer(&reader, database_give_back);
}

static void damaged_and_marked_ones_are_told_apart(void **state)
{
    g_autoptr(Database) database = fill(state);
    Connection *writer = database_begin(database, NULL);
    IngotDigest digests[] = {digest_number(2), digest_number(4), digest_number(6)};
    const IngotDigest *asked[] = {&digests[0], &digests[1], &digests[2]};
    PieceRow rows[3];
    assert_true(database_run(writer, NULL, "UPDATE pieces SET damaged=1 WHERE digest=?", "d", asked[0]));
    assert_true(database_run(writer, NULL, "UPDATE pieces SET mark=5 WHERE digest=?", "d", asked[1]));
    assert_true(pieces_find(writer, asked, 3, rows, NULL));
    for (guint i = 0; i < 3; i++) {
        PieceRow one;
        assert_int_equal(rows[i].damaged, i == 0);
        assert_int_equal(rows[i].marked, i == 1);
        assert_int_equal(pieces_is_whole(&rows[i], rows[i].length), i == 2);
        assert_true(pieces_find(writer, &asked[i], 1, &one, NULL));
        assert_int_equal(one.id, rows[i].id);
        assert_int_equal(one.damaged, rows[i].damaged);
        assert_int_equal(one.marked, rows[i].marked);
    }
    assert_true(database_end(database, TRUE, NULL));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(many_are_found_at_once),
        TEST(damaged_and_marked_ones_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Leases and death marks, as two processes see them: each has the catalogue open by itself. */
#include "../fixture.h"

#include "server/catalogue/leases.h"
#include "server/catalogue/marks.h"
#include "server/catalogue/packrows.h"
#include "server/catalogue/pieces.h"
#include "server/catalogue/schema.h"
#include "server/catalogue/spared.h"

static Database *open_catalogue(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue");
    Database *database = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(database);
    return database;
}

static void hold(Database *database, const char *id, gint64 now, gint64 until)
{
    Connection *writer = database_begin(database, NULL);
    assert_true(database_end(database, leases_hold(writer, id, now, until, NULL), NULL));
}

static gint64 advance(Database *database)
{
    gint64 epoch;
    Connection *writer = database_begin(database, NULL);
    assert_true(database_end(database, leases_advance(writer, &epoch, NULL), NULL));
    return epoch;
}

static gint64 oldest(Database *database, gint64 now)
{
    gint64 epoch;
    g_autoptr(Connection) reader = database_reader(database, NULL);
    assert_true(leases_oldest(reader, now, &epoch, NULL));
    return epoch;
}

static void the_oldest_that_lives_counts(void **state)
{
    g_autoptr(Database) one = open_catalogue(state), other = open_catalogue(state);
    assert_int_equal(oldest(one, 0), G_MAXINT64);
    hold(one, "a", 100, 200);
    gint64 first = oldest(other, 150);
    assert_int_equal(advance(other), first + 1);
    hold(other, "b", 150, 300);
    assert_int_equal(oldest(one, 150), first);
    /* A renewed one stays as old as it was; one that lapsed is another when it is taken again. */
    hold(one, "a", 190, 250);
    assert_int_equal(oldest(other, 240), first);
    assert_int_equal(oldest(other, 250), first + 1);
    advance(one);
    hold(one, "a", 250, 400);
    assert_int_equal(oldest(other, 260), first + 1);
    assert_int_equal(oldest(other, 350), first + 2);
    Connection *writer = database_begin(other, NULL);
    assert_true(leases_tidy(writer, 350, NULL) && leases_drop(writer, "a", NULL));
    assert_true(database_end(other, TRUE, NULL));
    assert_int_equal(oldest(one, 0), G_MAXINT64);
}

static gint64 add_piece(Database *database, const IngotDigest *digest, gint64 pack)
{
    PieceRow row;
    Connection *writer = database_begin(database, NULL);
    assert_true(pieces_put(writer, digest, 10, pack, 64, NULL) && pieces_find(writer, &digest, 1, &row, NULL));
    assert_true(database_end(database, TRUE, NULL));
    return row.id;
}

static GArray *marked(Database *database)
{
    g_autoptr(Connection) reader = database_reader(database, NULL);
    return marks_list(reader, NULL);
}

static void what_is_in_use_again_is_not_deleted(void **state)
{
    g_autoptr(Database) one = open_catalogue(state), other = open_catalogue(state);
    IngotDigest digest, blob;
    ingot_digest_of("piece", 5, &digest);
    ingot_digest_of("blob", 4, &blob);
    Connection *writer = database_begin(one, NULL);
    assert_true(pieces_add_pack(writer, 1, 100, NULL) && pieces_add_pack(writer, 2, 100, NULL));
    assert_true(database_end(one, TRUE, NULL));
    gint64 id = add_piece(one, &digest, 1);
    for (guint kind = 0; kind < 3; kind++) {
        gboolean deleted;
        writer = database_begin(one, NULL);
        assert_true(marks_set(writer, id, 7 + kind, NULL) && database_end(one, TRUE, NULL));
        g_autoptr(GArray) list = marked(one);
        assert_int_equal(list->len, 1);
        if (kind == 0) { /* the other process revives it, and this one marks it anew */
            writer = database_begin(other, NULL);
            assert_true(pieces_revive(writer, id, NULL) && database_end(other, TRUE, NULL));
        } else if (kind == 1) { /* or brings another copy */
            add_piece(other, &digest, 2);
        }
        writer = database_begin(one, NULL);
        assert_true(marks_delete(writer, &g_array_index(list, Dead, 0), &deleted, NULL));
        assert_true(database_end(one, TRUE, NULL));
        assert_int_equal(deleted, kind == 2);
    }
    /* Its bit is that of a blob that has it. */
    id = add_piece(one, &digest, 1);
    guint32 ids[] = {GUINT32_TO_LE((guint32)id)};
    writer = database_begin(one, NULL);
    gint64 row;
    assert_true(pieces_add_blob(writer, &blob, 10, 1, ids, 1, &row, NULL) && database_end(one, TRUE, NULL));
    g_autoptr(Connection) reader = database_reader(other, NULL);
    g_autoptr(GByteArray) needed = marks_needed(reader, NULL, NULL);
    assert_true(marks_is_needed(needed, id));
    g_autoptr(GHashTable) without = g_hash_table_new(ingot_digest_hash, ingot_digest_equal);
    g_hash_table_add(without, &blob);
    g_autoptr(GByteArray) others = marks_needed(reader, without, NULL);
    assert_false(marks_is_needed(others, id));
}

/* What a rebuild has found is needed, until its time is over. */
static void what_is_spared_is_needed_for_a_while(void **state)
{
    g_autoptr(Database) one = open_catalogue(state);
    const IngotDigest digest = {.bytes = {9}};
    Connection *before = database_begin(one, NULL);
    assert_true(pieces_add_pack(before, 1, 100, NULL) && database_end(one, TRUE, NULL));
    gint64 id = add_piece(one, &digest, 1);
    for (gint64 now = 99; now <= 100; now++) {
        Connection *writer = database_begin(one, NULL);
        assert_true(now == 100 || (spared_add_piece(writer, id, 100, NULL) && spared_add_pack(writer, 1, 100, NULL) &&
                                   spared_add_repository(writer, 3, 100, NULL)));
        assert_true(spared_lapse(writer, now, NULL) && database_end(one, TRUE, NULL));
        g_autoptr(Connection) reader = database_reader(one, NULL);
        g_autoptr(GByteArray) needed = marks_needed(reader, NULL, NULL);
        g_autoptr(GArray) packs = packrows_usage(reader, NULL);
        gboolean spared;
        assert_int_equal(marks_is_needed(needed, id), now < 100);
        assert_int_equal(packs->len, now < 100 ? 0 : 1);
        assert_true(spared_has_repository(reader, 3, &spared, NULL));
        assert_int_equal(spared, now < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_oldest_that_lives_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_in_use_again_is_not_deleted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_spared_is_needed_for_a_while, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

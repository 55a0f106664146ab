/* Counters: the counters are what a count of the rows says, whatever was done to them, in a new catalogue and in one
 * that had rows before it had counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "server/catalogue/counters.h"
#include "server/catalogue/schema.h"

static int set_up(void **state)
{
    *state = ingot_workdir_new(NULL);
    return *state == NULL;
}

static int tear_down(void **state)
{
    ingot_workdir_free(*state);
    return 0;
}

static Database *open_version(void **state, guint count)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue");
    Database *database = database_open(path, DATABASE_PLAIN, schema_migrations, count, NULL);
    assert_non_null(database);
    return database;
}

static void change(Database *database, const char *sql)
{
    g_autoptr(GError) error = NULL;
    if (!database_change(database, NULL, &error, sql, "")) {
        fail_msg("%s: %s", sql, error->message);
    }
}

static void assert_counted(Database *database)
{
    static const char sql[] = "SELECT (SELECT count(*) FROM pieces), (SELECT count(*) FROM pieces WHERE damaged<>0),"
                              " (SELECT total(length) FROM pieces), (SELECT count(*) FROM blobs),"
                              " (SELECT total(size) FROM blobs), (SELECT total(size) FROM packs)";
    Counters counters;
    g_autoptr(Connection) reader = database_reader(database, NULL);
    assert_true(counters_read(reader, &counters, NULL));
    g_autoptr(sqlite3_stmt) row = database_query(reader, sql, "");
    assert_true(database_step(row, NULL));
    assert_int_equal(counters.pieces, sqlite3_column_int64(row, 0));
    assert_int_equal(counters.damaged, sqlite3_column_int64(row, 1));
    assert_int_equal(counters.stored, sqlite3_column_int64(row, 2));
    assert_int_equal(counters.blobs, sqlite3_column_int64(row, 3));
    assert_int_equal(counters.logical, sqlite3_column_int64(row, 4));
    assert_int_equal(counters.packed, sqlite3_column_int64(row, 5));
}

static const char *const rows[] = {
    "INSERT INTO packs (id, size) VALUES (5, 1000), (6, 50)",
    "INSERT INTO pieces (digest, pack, offset, length, damaged) VALUES (x'01', 5, 0, 10, 0), (x'02', 5, 10, 7, 1),"
    " (x'03', 6, 0, 3, 0)",
    "INSERT INTO blobs (digest, size, pack, pieces, sum) VALUES (x'01', 17, 5, x'00', 0), (x'02', 3, 6, x'00', 0)",
};

static const char *const changes[] = {
    "INSERT INTO pieces (digest, pack, offset, length) VALUES (x'02', 6, 3, 7) ON CONFLICT (digest) DO UPDATE SET"
    " pack=excluded.pack, offset=excluded.offset, damaged=0 WHERE pieces.damaged<>0",
    "UPDATE pieces SET damaged=1",
    "UPDATE pieces SET damaged=1 WHERE pack=6",
    "UPDATE pieces SET damaged=0 WHERE digest=x'01'",
    "UPDATE packs SET size=70 WHERE id=6",
    "DELETE FROM blobs WHERE digest=x'02'",
    "DELETE FROM pieces WHERE digest=x'02'",
    "DELETE FROM blobs",
    "DELETE FROM pieces",
    "DELETE FROM packs",
};

static void apply(Database *database, const char *const *list, guint count)
{
    for (guint i = 0; i < count; i++) {
        change(database, list[i]);
    }
}

static void counters_are_the_counts(void **state)
{
    g_autoptr(Database) database = open_version(state, schema_count);
    assert_counted(database);
    apply(database, rows, G_N_ELEMENTS(rows));
    assert_counted(database);
    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        change(database, changes[i]);
        assert_counted(database);
    }
}

static void what_was_there_before_counts(void **state)
{
    g_autoptr(Database) old = open_version(state, 2);
    apply(old, rows, G_N_ELEMENTS(rows));
    database_close(g_steal_pointer(&old));
    g_autoptr(Database) database = open_version(state, schema_count);
    assert_counted(database);
    apply(database, changes, 3);
    assert_counted(database);
}

static void what_is_taken_back_does_not_count(void **state)
{
    g_autoptr(Database) database = open_version(state, schema_count);
    apply(database, rows, G_N_ELEMENTS(rows));
    Connection *writer = database_begin(database, NULL);
    assert_true(database_run(writer, NULL, "DELETE FROM blobs", ""));
    assert_false(database_end(database, FALSE, NULL));
    assert_counted(database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counters_are_the_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_there_before_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_taken_back_does_not_count, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

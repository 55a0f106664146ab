/* The database: versions, one writer and readers beside it, others that open it too, what is taken back, checksums of
 * rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "server/catalogue/database.h"
#include "server/catalogue/rowsum.h"

static const char *const migrations[] = {
    "CREATE TABLE one (id INTEGER PRIMARY KEY, text TEXT, bytes BLOB) STRICT",
    "CREATE TABLE two (id INTEGER PRIMARY KEY, one INTEGER REFERENCES one) STRICT; INSERT INTO two VALUES (5, NULL)",
    "CREATE TABLE three (id INTEGER PRIMARY KEY); broken",
};

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

static Database *open_database(void **state, guint count, GError **error)
{
    g_autofree char *path = ingot_workdir_file(*state, "database");
    return database_open(path, DATABASE_PLAIN, migrations, count, error);
}

static gint64 count_rows(Connection *connection)
{
    gint64 count;
    assert_true(database_number(connection, &count, -1, NULL, "SELECT count(*) FROM one", ""));
    return count;
}

static gboolean insert(Connection *writer, gint64 id)
{
    return database_run(writer, NULL, "INSERT INTO one (id) VALUES (?)", "i", id);
}

static void versions_follow_each_other(void **state)
{
    gint64 number;
    {
        g_autoptr(Database) database = open_database(state, 1, NULL);
        assert_non_null(database);
        Connection *writer = database_begin(database, NULL);
        assert_true(database_end(database, insert(writer, 1), NULL));
    }
    {
        g_autoptr(Database) database = open_database(state, 2, NULL);
        g_autoptr(Connection) reader = database_reader(database, NULL);
        assert_int_equal(count_rows(reader), 1);
        assert_true(database_number(reader, &number, 0, NULL, "SELECT id FROM two", ""));
        assert_int_equal(number, 5);
    }
    g_autoptr(GError) error = NULL;
    assert_null(open_database(state, 1, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_TOO_NEW));
}

/* A migration that fails has not happened. */
static void a_failed_migration_leaves_the_version(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(open_database(state, 3, &error));
    assert_non_null(error);
    g_autoptr(Database) database = open_database(state, 2, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    gint64 number;
    assert_true(database_number(reader, &number, 0, NULL, "SELECT count(*) FROM sqlite_master WHERE name='three'", ""));
    assert_int_equal(number, 0);
}

static void no_database_at_all(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "database");
    char noise[10000];
    memset(noise, 'x', sizeof noise);
    assert_true(ingot_file_replace(path, noise, sizeof noise, 0600, NULL));
    g_autoptr(GError) error = NULL;
    assert_null(open_database(state, 2, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void what_cannot_be_opened(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(database_open(ingot_workdir_path(*state), DATABASE_PLAIN, migrations, 2, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED));
}

static gpointer open_it(gpointer path)
{
    return database_open(path, DATABASE_SECRET, migrations, 2, NULL);
}

/* Each as another process would: whoever comes second finds the tables made. */
static void a_new_file_is_opened_by_many(void **state)
{
    for (guint round = 0; round < 40; round++) {
        g_autofree char *name = g_strdup_printf("new-%u", round);
        g_autofree char *path = ingot_workdir_file(*state, name);
        GThread *threads[6];
        Database *databases[G_N_ELEMENTS(threads)];
        for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
            threads[i] = g_thread_new("open", open_it, path);
        }
        for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
            databases[i] = g_thread_join(threads[i]);
            assert_non_null(databases[i]);
        }
        for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
            gint64 changed;
            assert_true(
                database_change(databases[i], &changed, NULL, "INSERT INTO one (id) VALUES (?)", "i", (gint64)i));
            assert_int_equal(changed, 1);
        }
        g_autoptr(Connection) reader = database_reader(databases[0], NULL);
        assert_int_equal(count_rows(reader), G_N_ELEMENTS(threads));
        database_give_back(g_steal_pointer(&reader));
        for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
            database_close(databases[i]);
        }
    }
}

static gboolean holds(const char *path, const char *text)
{
    g_autoptr(GBytes) bytes = ingot_file_read(path, 1 << 24, NULL);
    return memmem(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text, strlen(text)) != NULL;
}

static void deleted_secrets_are_gone(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "secret");
    {
        g_autoptr(Database) database = database_open(path, DATABASE_SECRET, migrations, 2, NULL);
        assert_true(database_change(database, NULL, NULL, "INSERT INTO one (text) VALUES (?)", "t", "swordfish"));
    }
    assert_true(holds(path, "swordfish"));
    {
        g_autoptr(Database) database = database_open(path, DATABASE_SECRET, migrations, 2, NULL);
        assert_true(database_change(database, NULL, NULL, "DELETE FROM one", ""));
    }
    assert_false(holds(path, "swordfish"));
}

static void what_is_taken_back_never_was(void **state)
{
    g_autoptr(Database) database = open_database(state, 2, NULL);
    Connection *writer = database_begin(database, NULL);
    assert_true(insert(writer, 1));
    assert_int_equal(database_changes(writer), 1);
    assert_int_equal(database_added(writer), 1);
    assert_false(insert(writer, 1));
    assert_false(database_end(database, FALSE, NULL));
    g_autoptr(Connection) reader = database_reader(database, NULL);
    assert_int_equal(count_rows(reader), 0);
    /* A reference to nothing. */
    writer = database_begin(database, NULL);
    assert_false(database_run(writer, NULL, "INSERT INTO two VALUES (1, 99)", ""));
    database_end(database, FALSE, NULL);
    writer = database_begin(database, NULL);
    assert_true(database_end(database, insert(writer, 2), NULL));
    assert_int_equal(count_rows(reader), 1);
}

static void readers_see_one_state(void **state)
{
    g_autoptr(Database) database = open_database(state, 2, NULL);
    Connection *writer = database_begin(database, NULL);
    for (gint64 i = 1; i <= 3; i++) {
        insert(writer, i);
    }
    assert_true(database_end(database, TRUE, NULL));
    g_autoptr(Connection) reader = database_reader(database, NULL), other = database_reader(database, NULL);
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT id FROM one ORDER BY id", "");
    assert_true(database_step(rows, NULL));
    writer = database_begin(database, NULL);
    assert_true(insert(writer, 4) && database_run(writer, NULL, "DELETE FROM one WHERE id=2", ""));
    assert_int_equal(count_rows(other), 3);
    assert_true(database_end(database, TRUE, NULL));
    assert_int_equal(count_rows(other), 3);
    guint more = 0;
    while (database_step(rows, NULL)) {
        more++;
        assert_int_equal(sqlite3_column_int64(rows, 0), more + 1); /* 2 and 3, no 4 */
    }
    assert_int_equal(more, 2);
}

/* Threads that add one each time they find an even number, or read: nobody sees the half of it. */
typedef struct {
    Database *database;
    gint failed;
} Crowd;

static gpointer write_pairs(gpointer user)
{
    Crowd *crowd = user;
    for (guint i = 0; i < 40; i++) {
        Connection *writer = database_begin(crowd->database, NULL);
        gint64 count;
        gboolean ok = writer != NULL &&
                      database_number(writer, &count, 0, NULL, "SELECT coalesce(max(id), 0) FROM one", "") &&
                      insert(writer, count + 1) && insert(writer, count + 2);
        gboolean keep = ok && i % 4 != 3;
        if (!ok || database_end(crowd->database, keep, NULL) != keep) {
            g_atomic_int_inc(&crowd->failed);
        }
    }
    return NULL;
}

static gpointer read_pairs(gpointer user)
{
    Crowd *crowd = user;
    for (guint i = 0; i < 200; i++) {
        g_autoptr(Connection) reader = database_reader(crowd->database, NULL);
        gint64 count;
        if (reader == NULL || !database_number(reader, &count, 1, NULL, "SELECT count(*) FROM one", "") ||
            count % 2 != 0) {
            g_atomic_int_inc(&crowd->failed);
        }
    }
    return NULL;
}

static void many_at_once(void **state)
{
    g_autoptr(Database) database = open_database(state, 2, NULL);
    Crowd crowd = {.database = database};
    GThread *threads[6];
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("crowd", i % 2 == 0 ? write_pairs : read_pairs, &crowd);
    }
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_thread_join(threads[i]);
    }
    assert_int_equal(crowd.failed, 0);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    assert_int_equal(count_rows(reader), 3 * 30 * 2);
}

static gint64 sum(Connection *connection, const char *sql)
{
    g_autoptr(sqlite3_stmt) row = database_query(connection, sql, "");
    assert_true(database_step(row, NULL));
    return row_sum_columns(row, 0, sqlite3_column_count(row));
}

/* Of other values, types, places and lengths there are other sums. */
static void sums_of_rows(void **state)
{
    static const char *const all[] = {
        "SELECT NULL",      "SELECT ''",    "SELECT x''",         "SELECT 0",  "SELECT '0'",
        "SELECT x'30'",     "SELECT 1, 2",  "SELECT 2, 1",        "SELECT 12", "SELECT 'ab', 'c'",
        "SELECT 'a', 'bc'", "SELECT 'abc'", "SELECT 'abc', NULL",
    };
    g_autoptr(Database) database = open_database(state, 2, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        assert_int_equal(sum(reader, all[i]), sum(reader, all[i]));
        for (guint k = 0; k < i; k++) {
            assert_int_not_equal(sum(reader, all[i]), sum(reader, all[k]));
        }
    }
}

/* What is worked out of values is what is worked out of columns that hold them. */
static void sums_of_values_and_columns(void **state)
{
    IngotDigest digest;
    ingot_digest_of("a", 1, &digest);
    g_autofree char *hex = ingot_digest_to_text(&digest);
    g_autofree char *of_digest = g_strdup_printf("SELECT x'%s', 7", hex + strlen("sha256:"));
    g_autoptr(Database) database = open_database(state, 2, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    assert_int_equal(row_sum("i", G_MININT64), sum(reader, "SELECT -9223372036854775808"));
    assert_int_equal(row_sum("tti", "key", "", (gint64)5), sum(reader, "SELECT 'key', '', 5"));
    assert_int_equal(row_sum("td", NULL, NULL), sum(reader, "SELECT NULL, NULL"));
    assert_int_equal(row_sum("bb", "\0\1", (gsize)2, NULL, (gsize)0), sum(reader, "SELECT x'0001', x''"));
    assert_int_equal(row_sum("di", &digest, (gint64)7), sum(reader, of_digest));
    /* Catalogues that were written hold these values. */
    assert_int_equal(row_sum("ti", "names_end", (gint64)1000), G_GINT64_CONSTANT(805054323627277732));
}

/* Each change of the file is seen, whoever made it. */
static void changes_are_seen(void **state)
{
    g_autoptr(Database) database = open_database(state, 2, NULL), other = open_database(state, 2, NULL);
    guint64 before = database_sequence(database);
    assert_int_equal(database_sequence(database), before);
    for (gint64 i = 1; i < 5; i++) {
        Database *changed = i % 2 == 0 ? database : other;
        assert_true(database_end(changed, insert(database_begin(changed, NULL), i), NULL));
        guint64 after = database_sequence(database);
        assert_int_not_equal(after, before);
        assert_int_equal(database_sequence(database), after);
        before = after;
    }
    assert_true(insert(database_begin(other, NULL), 9));
    database_end(other, FALSE, NULL); /* has not happened */
    assert_int_equal(database_sequence(database), before);
}

static void values_come_back(void **state)
{
    g_autoptr(Database) database = open_database(state, 2, NULL);
    IngotDigest digest, found;
    ingot_digest_of("a", 1, &digest);
    Connection *writer = database_begin(database, NULL);
    static const char sql[] = "INSERT INTO one (id, text, bytes) VALUES (?, ?, ?)";
    assert_true(database_run(writer, NULL, sql, "itd", (gint64)1, "x", &digest));
    assert_true(database_run(writer, NULL, sql, "itd", (gint64)2, NULL, NULL));
    assert_true(database_run(writer, NULL, sql, "itb", (gint64)3, "", "bytes", (gsize)5));
    assert_true(database_run(writer, NULL, sql, "itb", (gint64)4, "", NULL, (gsize)0));
    assert_true(database_end(database, TRUE, NULL));
    g_autoptr(Connection) reader = database_reader(database, NULL);
    g_autoptr(sqlite3_stmt) rows = database_query(reader, "SELECT text, bytes FROM one ORDER BY id", "");
    assert_true(database_step(rows, NULL));
    g_autofree char *text = database_text(rows, 0);
    assert_string_equal(text, "x");
    assert_true(database_digest(rows, 1, &found));
    assert_memory_equal(&found, &digest, sizeof digest);
    assert_true(database_step(rows, NULL));
    assert_null(sqlite3_column_text(rows, 0));
    assert_false(database_digest(rows, 1, &found));
    assert_true(database_step(rows, NULL));
    assert_false(database_digest(rows, 1, &found));
    assert_int_equal(sqlite3_column_bytes(rows, 1), 5);
    assert_true(database_step(rows, NULL));
    assert_int_equal(sqlite3_column_type(rows, 1), SQLITE_BLOB);
    assert_false(database_step(rows, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(versions_follow_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_migration_leaves_the_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_database_at_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_file_is_opened_by_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deleted_secrets_are_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_taken_back_never_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readers_see_one_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sums_of_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sums_of_values_and_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_are_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

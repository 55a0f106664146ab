/* The catalogue's tables: what an older one has is there after each migration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/file.h"
#include "server/catalogue/counters.h"
#include "server/catalogue/database.h"
#include "server/catalogue/rowcheck.h"
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

static void run(Connection *writer, const char *sql)
{
    g_autoptr(GError) error = NULL;
    if (!database_run(writer, &error, sql, "")) {
        fail_msg("%s", error->message);
    }
}

static gint64 number(Connection *reader, const char *sql)
{
    gint64 found;
    assert_true(database_number(reader, &found, -1, NULL, sql, ""));
    return found;
}

/* Until version 2 a mention was the row of a blob. */
static void mentions_become_digests(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    Database *old = database_open(path, DATABASE_PLAIN, schema_migrations, 2, NULL);
    Connection *writer = database_begin(old, NULL);
    run(writer, "INSERT INTO packs VALUES (1, 0)");
    run(writer,
        "INSERT INTO blobs VALUES (5, x'aa', 1, 1, x'', 0), (6, x'bb', 1, 1, x'', 0), (7, x'cc', 1, 1, x'', 0)");
    run(writer, "INSERT INTO repositories VALUES (1, 'a', 0), (2, 'b', 0)");
    run(writer, "INSERT INTO links VALUES (1, 5, 0, 0), (1, 6, 0, 0), (1, 7, 0, 0), (2, 7, 0, 0)");
    run(writer, "INSERT INTO manifests VALUES (1, 7, 'type', NULL, 0, 0), (2, 7, 'type', NULL, 0, 0)");
    run(writer, "INSERT INTO mentions VALUES (1, 7, 5), (1, 7, 6), (2, 7, 6)");
    assert_true(database_end(old, TRUE, NULL));
    database_close(old);
    g_autoptr(Database) now = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(now);
    g_autoptr(Connection) reader = database_reader(now, NULL);
    assert_int_equal(number(reader, "SELECT count(*) FROM mentions"), 3);
    assert_int_equal(number(reader, "SELECT count(*) FROM mentions WHERE repository=1 AND manifest=7 AND digest=x'aa'"),
                     1);
    assert_int_equal(number(reader, "SELECT count(*) FROM mentions WHERE manifest=7 AND digest=x'bb'"), 2);
    assert_int_equal(number(reader, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* What is said of a digest in any repository is found by an index: each look-up of a manifest asks, for each base. */
static void records_are_found_by_key(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    g_autoptr(Database) database = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    g_autoptr(sqlite3_stmt) plan =
        database_query(reader,
                       "EXPLAIN QUERY PLAN SELECT body FROM records INDEXED BY records_by_key WHERE kind=? AND key=?"
                       " ORDER BY name",
                       "");
    assert_true(database_step(plan, NULL));
    assert_non_null(strstr((const char *)sqlite3_column_text(plan, 3), "records_by_key (kind=? AND key=?)"));
    assert_false(database_step(plan, NULL)); /* nothing is sorted */
}

/* So are the moves of one channel, and those of which it was not looked up yet, without a sort: the first row is the
 * newest, whatever comes behind. */
static void moves_are_found_by_channel(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    g_autoptr(Database) database = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    g_autoptr(Connection) reader = database_reader(database, NULL);
    g_autoptr(sqlite3_stmt) plan = database_query(
        reader,
        "EXPLAIN QUERY PLAN SELECT key, body FROM records INDEXED BY moves_by_channel WHERE kind='move' AND name=?1 AND"
        " channel=?2 AND key<?3 UNION ALL SELECT key, body FROM records INDEXED BY moves_by_channel WHERE kind='move'"
        " AND name=?1 AND channel IS NULL AND key<?3 ORDER BY key DESC",
        "");
    guint searches = 0;
    while (database_step(plan, NULL)) {
        const char *step = (const char *)sqlite3_column_text(plan, 3);
        searches += strstr(step, "moves_by_channel (name=? AND channel=? AND key<?)") != NULL;
        assert_null(strstr(step, "SCAN"));
        assert_null(strstr(step, "TEMP B-TREE"));
    }
    assert_int_equal(searches, 2);
}

/* What older versions wrote is found so as well; a move that can't be read belongs to no channel, or to any. One
 * without a channel is not damaged: an older server that still has the folder open writes such. */
static void older_moves_have_their_channel(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    Database *old = database_open(path, DATABASE_PLAIN, schema_migrations, 20, NULL);
    Connection *writer = database_begin(old, NULL);
    run(writer,
        "INSERT INTO records VALUES ('move', 'a', '1', '{\"tag\":\"dev\"}', 0, NULL, NULL, 0),"
        " ('move', 'a', '2', '{\"tag', 0, NULL, NULL, 0), ('state', 'a', '3', '{\"tag\":\"dev\"}', 0, NULL, NULL, 0)");
    assert_true(database_end(old, TRUE, NULL));
    database_close(old);
    g_autoptr(Database) now = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(now);
    assert_true(database_change(now, NULL, NULL,
                                "INSERT INTO records VALUES ('move', 'a', '4', '{\"tag\":\"dev\"}',"
                                " 0, NULL, NULL, 0, 'prod'), ('move', 'a', '0', '{\"tag\":\"dev\"}', 0, NULL, NULL,"
                                " 0, NULL)",
                                ""));
    g_autoptr(Connection) reader = database_reader(now, NULL);
    g_autofree char *wrong = row_check_first(reader);
    assert_string_equal(wrong, "the channel of move 4 of a");
    assert_int_equal(number(reader, "SELECT key FROM records WHERE channel='dev'"), 1);
    assert_int_equal(number(reader, "SELECT key FROM records WHERE channel=''"), 2);
    assert_int_equal(number(reader, "SELECT key FROM records WHERE kind<>'move' AND channel IS NULL"), 3);
}

/* A cache's images that an older version has promoted count as pushed: a1 is named by a tag that follows no
 * upstream, a2 by one that does; a3 was promoted once, in this name alone; a4 came to a channel by its upstream. */
static void what_was_promoted_is_not_cached(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    Database *old = database_open(path, DATABASE_PLAIN, schema_migrations, 21, NULL);
    Connection *writer = database_begin(old, NULL);
    run(writer, "INSERT INTO packs VALUES (1, 0)");
    run(writer, "INSERT INTO repositories VALUES (1, 'a', 0), (2, 'b', 0)");
    run(writer, "INSERT INTO blobs (id, digest, size, pack, pieces, sum) VALUES (1, x'a1', 1, 1, x'', 0),"
                " (2, x'a2', 1, 1, x'', 0)");
    run(writer, "INSERT INTO links VALUES (1, 1, 0, 0), (1, 2, 0, 0)");
    run(writer,
        "INSERT INTO manifests (repository, blob, type, made, sum) VALUES (1, 1, 't', 0, 0), (1, 2, 't', 0, 0)");
    run(writer, "INSERT INTO tags (repository, name, blob, made, sum, cached) VALUES (1, 'prod', 1, 0, 0, 0),"
                " (1, 'dev', 2, 0, 0, 1)");
    run(writer, "INSERT INTO cached VALUES (1, x'a1'), (1, x'a2'), (1, x'a3'), (1, x'a4'), (2, x'a3')");
    run(writer, "INSERT INTO records (kind, name, key, body, at, sum) VALUES"
                " ('move', 'a', '1', '{\"tag\":\"prod\",\"how\":\"promote\",\"digest\":\"sha256:a3\"}', 0, 0),"
                " ('move', 'a', '2', '{\"tag\":\"dev\",\"how\":\"push\",\"digest\":\"sha256:a4\"}', 0, 0),"
                " ('move', 'a', '3', '{\"tag', 0, 0)");
    assert_true(database_end(old, TRUE, NULL));
    database_close(old);
    g_autoptr(Database) now = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(now);
    g_autoptr(Connection) reader = database_reader(now, NULL);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached"), 3);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE repository=1 AND manifest IN (x'a2', x'a4')"),
                     2);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE repository=2"), 1);
}

static void older_server_tags(Database *old, const char *tag, gint64 blob, gint64 cached)
{
    assert_true(database_change(old, NULL, NULL,
                                "INSERT INTO tags (repository, name, blob, made, sum, cached) VALUES (1, ?, ?, 0, 0, ?)"
                                " ON CONFLICT (repository, name) DO UPDATE SET blob=excluded.blob,"
                                " cached=excluded.cached",
                                "tii", tag, blob, cached));
}

/* Nor is what an older server promotes that still has the folder open: a1 was before this version came, prod is made
 * for a2 and moves to a3 after it; a4 came to a channel by its upstream. */
static void what_an_older_server_promotes_is_not_cached(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    g_autoptr(Database) old = database_open(path, DATABASE_PLAIN, schema_migrations, 22, NULL);
    Connection *writer = database_begin(old, NULL);
    run(writer, "INSERT INTO packs VALUES (1, 0)");
    run(writer, "INSERT INTO repositories VALUES (1, 'a', 0), (2, 'b', 0)");
    run(writer, "INSERT INTO blobs (id, digest, size, pack, pieces, sum) VALUES (1, x'a1', 1, 1, x'', 0),"
                " (2, x'a2', 1, 1, x'', 0), (3, x'a3', 1, 1, x'', 0), (4, x'a4', 1, 1, x'', 0)");
    run(writer, "INSERT INTO links VALUES (1, 1, 0, 0), (1, 2, 0, 0), (1, 3, 0, 0), (1, 4, 0, 0)");
    run(writer, "INSERT INTO manifests (repository, blob, type, made, sum) SELECT 1, id, 't', 0, 0 FROM blobs");
    run(writer, "INSERT INTO cached SELECT repositories.id, digest FROM repositories JOIN blobs");
    assert_true(database_end(old, TRUE, NULL));
    older_server_tags(old, "test", 1, 0);
    g_autoptr(Database) now = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(now);
    g_autoptr(Connection) reader = database_reader(now, NULL);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE manifest=x'a1'"), 1);
    older_server_tags(old, "prod", 2, 0);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE manifest=x'a2'"), 1);
    older_server_tags(old, "prod", 3, 0);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE manifest=x'a3'"), 1);
    older_server_tags(old, "dev", 4, 1);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE manifest=x'a4'"), 2);
    assert_int_equal(number(reader, "SELECT count(*) FROM cached WHERE repository=2"), 4);
}

static void older_server_puts(Database *old, const char *kind, const char *name)
{
    assert_true(database_change(old, NULL, NULL,
                                "INSERT OR REPLACE INTO records (kind, name, key, body, at, sum) VALUES"
                                " (?, ?, '', '{}', 0, 0)",
                                "tt", kind, name));
}

/* So is what an older server puts that still has the folder open. */
static void changes_of_pipelines_are_counted(void **state)
{
    gint64 changes = -1;
    g_autofree char *path = ingot_workdir_file(*state, "catalogue.sqlite");
    g_autoptr(Database) old = database_open(path, DATABASE_PLAIN, schema_migrations, 23, NULL);
    older_server_puts(old, "pipeline", "a");
    g_autoptr(Database) now = database_open(path, DATABASE_PLAIN, schema_migrations, schema_count, NULL);
    assert_non_null(now);
    g_autoptr(Connection) reader = database_reader(now, NULL);
    assert_true(counters_pipelines(reader, &changes, NULL));
    assert_int_equal(changes, 0); /* whoever opens it reads all */
    older_server_puts(old, "pipeline", "b");
    older_server_puts(old, "state", "b");
    assert_true(counters_pipelines(reader, &changes, NULL));
    assert_int_equal(changes, 1);
    older_server_puts(old, "pipeline", "b");
    assert_true(database_change(old, NULL, NULL, "DELETE FROM records WHERE name='b'", ""));
    assert_true(counters_pipelines(reader, &changes, NULL));
    assert_int_equal(changes, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mentions_become_digests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_are_found_by_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moves_are_found_by_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older_moves_have_their_channel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_promoted_is_not_cached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_older_server_promotes_is_not_cached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_of_pipelines_are_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

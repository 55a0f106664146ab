/* The tide: each commit is seen, of this process and of another, with SQLite's shared memory and without, and over
 * checkpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "server/catalogue/tide.h"

typedef struct {
    IngotWorkdir *folder;
    char *path;
    sqlite3 *watcher, *writer;
} Fixture;

static sqlite3 *open_at(const char *path)
{
    sqlite3 *handle = NULL;
    if (sqlite3_open(path, &handle) != SQLITE_OK) {
        abort();
    }
    return handle;
}

static gboolean run(sqlite3 *handle, const char *sql)
{
    return sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static int set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    fixture->folder = ingot_workdir_new(NULL);
    fixture->path = ingot_workdir_file(fixture->folder, "database");
    fixture->writer = open_at(fixture->path);
    *state = fixture;
    return run(fixture->writer, "PRAGMA journal_mode=WAL; CREATE TABLE one (id INTEGER PRIMARY KEY)") ? 0 : -1;
}

static int tear_down(void **state)
{
    Fixture *fixture = *state;
    sqlite3_close(fixture->watcher);
    sqlite3_close(fixture->writer);
    ingot_workdir_free(fixture->folder);
    g_free(fixture->path);
    g_free(fixture);
    return 0;
}

static void expect_turns(Fixture *fixture, Tide *tide)
{
    static const char *const commits[] = {"INSERT INTO one DEFAULT VALUES",
                                          "PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO one DEFAULT VALUES",
                                          "BEGIN; INSERT INTO one DEFAULT VALUES; DELETE FROM one; COMMIT"};
    guint64 before = tide_sequence(tide);
    assert_int_equal(tide_sequence(tide), before);
    for (guint i = 0; i < 3 * G_N_ELEMENTS(commits); i++) {
        assert_true(run(fixture->writer, commits[i % G_N_ELEMENTS(commits)]));
        guint64 after = tide_sequence(tide);
        assert_true(after > before);
        assert_int_equal(tide_sequence(tide), after);
        before = after;
    }
    assert_true(run(fixture->writer, "BEGIN; INSERT INTO one DEFAULT VALUES; ROLLBACK")); /* has not happened */
    assert_int_equal(tide_sequence(tide), before);
}

static void each_commit_is_seen(void **state)
{
    Fixture *fixture = *state;
    Tide tide;
    fixture->watcher = open_at(fixture->path);
    tide_begin(&tide, fixture->watcher);
    assert_non_null(tide.header);
    expect_turns(fixture, &tide);
}

static void without_shared_memory_sqlite_is_asked(void **state)
{
    Fixture *fixture = *state;
    Tide tide;
    fixture->watcher = open_at(fixture->path);
    tide_begin(&tide, fixture->watcher);
    tide.header = NULL;
    expect_turns(fixture, &tide);
}

/* Its SQLite is a fresh one: it was forked before this process opened anything. */
static pid_t start_other(const char *path, int tell)
{
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        gboolean ok = read(tell, &byte, 1) == 1;
        sqlite3 *handle = ok ? open_at(path) : NULL;
        ok = ok && run(handle, "INSERT INTO one DEFAULT VALUES");
        sqlite3_close(handle);
        _exit(ok ? 0 : 1);
    }
    return pid;
}

static void a_commit_of_another_process_is_seen(void **state)
{
    Fixture *fixture = *state;
    int tell[2], status;
    Tide tide;
    sqlite3_close(fixture->writer);
    fixture->writer = NULL;
    assert_int_equal(pipe(tell), 0);
    pid_t other = start_other(fixture->path, tell[0]);
    fixture->watcher = open_at(fixture->path);
    tide_begin(&tide, fixture->watcher);
    guint64 before = tide_sequence(&tide);
    assert_int_equal(tide_sequence(&tide), before);
    assert_int_equal(write(tell[1], "", 1), 1);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
    assert_true(tide_sequence(&tide) > before);
    close(tell[0]);
    close(tell[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_commit_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_shared_memory_sqlite_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_commit_of_another_process_is_seen, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

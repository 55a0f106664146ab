/* Time: what an upload counts on stays for as long as its bytes come, however long they take. */
#include "../fixture.h"

#include <sys/file.h>
#include <sys/syscall.h>

#include "server/storage/collect.h"
#include "server/storage/lapse.h"
#include "server/storage/pulls.h"

static gint64 passed; /* seconds */

/* In the place of GLib's: hours pass at once. */
gint64 g_get_real_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec + passed) * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

#define FRAME 60000

static void an_offer_takes_hours(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 10 * FRAME), all = noise(1, 10 * FRAME), fresh = noise(2, 10 * FRAME);
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_byte_array_append(all, fresh->data, fresh->len);
    g_autoptr(GByteArray) list = list_of(known, FRAME), more = list_of(all, FRAME);
    IngotDigest digest = digest_of(known), whole = digest_of(all);
    g_autofree char *first = begin_upload(storage, NULL), *id = begin_upload(storage, NULL);
    assert_true(storage_upload_offer(storage, first, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(add_steps(storage, first, known, 0, known->len, FRAME, NULL));
    assert_true(storage_upload_finish(storage, NULL, first, 0, "a", &digest, NULL));
    assert_true(storage_upload_offer(storage, id, more->data, more->len, NULL, NULL, missing, NULL));
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    for (guint i = 0; i < 10; i++) {
        CollectReport report;
        assert_true(storage_upload_add(storage, id, 0, i * FRAME, fresh->data + i * FRAME, FRAME, NULL));
        passed += 2400;
        assert_true(storage_collect(storage, &(CollectOptions){0}, &report, NULL));
        assert_int_equal(report.pieces, 0);
    }
    g_autoptr(GError) error = NULL;
    if (!storage_upload_finish(storage, NULL, id, 0, "a", &whole, &error)) {
        fail_msg("%s", error->message);
    }
    pull(storage, "a", all);
}

/* The same of an upload that shares its beginning alone. */
static void an_upload_takes_hours(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 1 << 20), all = noise(1, 1 << 20);
    add_bytes(all, noise(2, 6 << 20));
    IngotDigest digest = push(storage, "a", known), whole = digest_of(all);
    g_autofree char *id = begin_upload(storage, NULL);
    for (guint at = 0; at < all->len; at += 1 << 20) {
        CollectReport report;
        assert_true(storage_upload_add(storage, id, 0, at, all->data + at, 1 << 20, NULL));
        if (at == 0) {
            assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
        }
        passed += 2400;
        assert_true(storage_collect(storage, &(CollectOptions){0}, &report, NULL));
        assert_int_equal(report.pieces, 0);
    }
    g_autoptr(GError) error = NULL;
    if (!storage_upload_finish(storage, NULL, id, 0, "a", &whole, &error)) {
        fail_msg("%s", error->message);
    }
    pull(storage, "a", all);
}

/* --- uploads that lapse --- */

#define DAY (24 * 3600)

static const char *meanwhile; /* SQL that another process runs before the next lock on an upload; NULL: none */
static void **where;

/* In the place of the system's. */
int flock(int fd, int operation)
{
    const char *sql = g_steal_pointer(&meanwhile);
    if (sql != NULL) {
        in_catalogue(where, sql);
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static void collect_now(Storage *storage)
{
    CollectReport report;
    assert_true(storage_collect(storage, &(CollectOptions){0}, &report, NULL));
}

/* It is gone on with shortly before its end, by another process: from then on it is kept as any other. */
static void one_that_is_gone_on_with_does_not_lapse(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 3000000);
    IngotDigest digest = digest_of(bytes);
    g_autofree char *id = begin_upload(storage, NULL);
    guint64 at = 1000000;
    assert_true(add_steps(storage, id, bytes, 0, at, 100000, NULL));
    storage_upload_pause(storage, id);
    for (guint i = 0; i < 3; i++) {
        storage_close(g_steal_pointer(&storage));
        passed += DAY - (i == 0 ? 60 : 1260); /* a minute before its end */
        storage = open_storage(state);
        guint64 size;
        assert_true(storage_upload_size(storage, id, &size, NULL));
        passed += 120;
        collect_now(storage);
        assert_true(storage_upload_add(storage, id, 0, at, bytes->data + at, 1000, NULL));
        at += 1000;
        passed += 1200;
        collect_now(storage);
        storage_upload_pause(storage, id);
    }
    assert_true(add_steps(storage, id, bytes, at, bytes->len, 100000, NULL));
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    pull(storage, "a", bytes);
}

/* Another process goes on with it between the look and the lock. */
static void one_is_renewed_at_the_last_moment(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *id = begin_upload(storage, NULL);
    guint64 size;
    storage_upload_pause(storage, id);
    passed += DAY + 1;
    where = state;
    meanwhile = "UPDATE uploads SET until=until + 86400";
    uploads_sweep(storage);
    assert_null(meanwhile);
    assert_true(storage_upload_size(storage, id, &size, NULL));
    passed += DAY + 1;
    uploads_sweep(storage);
    assert_false(storage_upload_size(storage, id, &size, NULL));
}

/* --- what pushes ask for, where another process may collect --- */

static Storage *open_beside(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    Storage *storage = storage_open_shared(path, NULL);
    assert_non_null(storage);
    return storage;
}

/* As another process has it. */
static gint64 look(sqlite3 *handle, const char *sql)
{
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    gint64 value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return value;
}

#define NOW (g_get_real_time() / G_USEC_PER_SEC)

/* What a push counts on is written when it is told so; asked again soon, or by who does not push, it costs no commit,
 * which would take the writer and everybody's caches. */
static void asking_often_is_written_once(void **state)
{
    g_autoptr(Storage) storage = open_beside(state);
    g_autoptr(GByteArray) bytes = noise(1, 10000);
    IngotDigest digest = push(storage, "a", bytes);
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *other;
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    for (guint i = 0; i < 3; i++) {
        passed += 3600;
        gint64 before = look(other, "PRAGMA data_version");
        for (guint k = 0; k < 100; k++) {
            pulls_ask(storage, "a", &digest);
        }
        assert_int_equal(look(other, "PRAGMA data_version"), before);
        pulls_count_on(storage, "a", &digest);
        assert_true(look(other, "SELECT made FROM links") >= NOW - 2);
        before = look(other, "PRAGMA data_version");
        for (guint k = 0; k < 100; k++) {
            passed += k % 50 == 49; /* within two seconds */
            pulls_count_on(storage, "a", &digest);
        }
        assert_int_equal(look(other, "PRAGMA data_version"), before);
    }
    sqlite3_close(other);
}

#define ASKERS 8
#define ASKED 20 /* blobs each */

typedef struct {
    Storage *storage;
    sqlite3 *other;
    GMutex *lock; /* of other */
    guint first;
    gboolean ok;
} Asker;

static gpointer ask_for_many(gpointer data)
{
    Asker *asker = data;
    asker->ok = TRUE;
    for (guint i = 0; i < ASKED; i++) {
        g_autoptr(GByteArray) bytes = noise(asker->first + i, 100);
        IngotDigest digest = digest_of(bytes);
        g_autoptr(GString) sql = g_string_new("SELECT made FROM links JOIN blobs ON id=blob WHERE digest=x'");
        for (guint k = 0; k < sizeof digest.bytes; k++) {
            g_string_append_printf(sql, "%02x", digest.bytes[k]);
        }
        g_string_append_c(sql, '\'');
        pulls_count_on(asker->storage, "a", &digest);
        g_mutex_lock(asker->lock);
        asker->ok &= look(asker->other, sql->str) >= NOW - 60;
        g_mutex_unlock(asker->lock);
    }
    return NULL;
}

/* Those that ask at once are written together, and none is told before its own is. */
static void many_ask_at_once(void **state)
{
    g_autoptr(Storage) storage = open_beside(state);
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    GMutex lock = {0};
    Asker askers[ASKERS];
    GThread *threads[ASKERS];
    sqlite3 *other;
    for (guint i = 0; i < ASKERS * ASKED; i++) {
        g_autoptr(GByteArray) bytes = noise(i, 100);
        push(storage, "a", bytes);
    }
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    passed += 3600;
    for (guint i = 0; i < ASKERS; i++) {
        askers[i] = (Asker){.storage = storage, .other = other, .lock = &lock, .first = i * ASKED};
        threads[i] = g_thread_new("asker", ask_for_many, &askers[i]);
    }
    for (guint i = 0; i < ASKERS; i++) {
        g_thread_join(threads[i]);
        assert_true(askers[i].ok);
    }
    sqlite3_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_offer_takes_hours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upload_takes_hours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_gone_on_with_does_not_lapse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_is_renewed_at_the_last_moment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_often_is_written_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_ask_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

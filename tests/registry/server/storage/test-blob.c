/* Blobs of several windows: every range of them, what opening one costs, who reads one that is moved, collected or
 * damaged meanwhile. */
#include "../fixture.h"

#include <sqlite3.h>

#include "server/catalogue/blobmap.h"
#include "server/storage/collect.h"

#define PIECES (3 * BLOBMAP_WINDOW + 100)
#define PIECE 4200u /* bytes, before they are packed */

static guint64 windows_of(Storage *storage)
{
    return stats_of(storage).windows;
}

static void assert_reads(StorageBlob *blob, const GByteArray *bytes, guint64 offset, gsize size)
{
    g_autofree guint8 *got = g_malloc(size);
    g_autoptr(GError) error = NULL;
    if (!storage_blob_read_all(blob, offset, got, size, &error)) {
        fail_msg("%s", error == NULL ? "it is shorter" : error->message);
    }
    assert_memory_equal(got, bytes->data + offset, size);
}

static void collect(Storage *storage)
{
    CollectReport report;
    const CollectOptions options = {.grace = 0};
    assert_true(storage_collect(storage, &options, &report, NULL));
}

static void ranges_over_windows(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, PIECES, PIECE);
    g_autoptr(GRand) random = g_rand_new_with_seed(1);
    IngotDigest digest = push(storage, "a", bytes);
    pull(storage, "a", bytes);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    assert_int_equal(storage_blob_count(blob), PIECES);
    for (guint i = 0; i < 300; i++) {
        guint64 offset = (guint64)g_rand_int_range(random, 0, (gint)bytes->len);
        gsize most = (gsize)g_rand_int_range(random, 1, 5000000), size = MIN(most, bytes->len - offset);
        int fd;
        guint64 at;
        assert_reads(blob, bytes, offset, size);
        assert_true(storage_blob_run(blob, offset, size, &fd, &at)); /* it was read to its end before */
        g_autofree guint8 *got = g_malloc(size);
        assert_int_equal(pread(fd, got, size, (off_t)at), size);
        close(fd);
        assert_memory_equal(got, bytes->data + offset, size);
    }
    g_autoptr(GBytes) list = storage_blob_frames(blob, NULL, NULL, NULL);
    assert_int_equal(g_bytes_get_size(list), PIECES * 36);
}

/* However large a blob is: its first bytes cost one window, any other range one more. */
static void a_first_byte_costs_a_window(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) small = frames(100000, 10, PIECE), large = frames(1, PIECES, PIECE);
    IngotDigest of_small = push(storage, "a", small), of_large = push(storage, "a", large);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    assert_int_equal(windows_of(storage), 0);
    g_autoptr(StorageBlob) first = storage_blob(storage, "a", &of_small, NULL);
    assert_reads(first, small, 0, 1);
    assert_int_equal(windows_of(storage), 1);
    g_autoptr(StorageBlob) second = storage_blob(storage, "a", &of_large, NULL);
    assert_reads(second, large, 0, 1);
    assert_int_equal(windows_of(storage), 2);
    assert_reads(second, large, large->len - 1, 1);
    assert_int_equal(windows_of(storage), 3);
    g_autoptr(StorageBlob) again = storage_blob(storage, "a", &of_large, NULL);
    assert_reads(again, large, 1, 1000);
    assert_reads(again, large, large->len - 1000, 1000);
    assert_int_equal(windows_of(storage), 3); /* they are kept */
}

static gboolean is_known(Storage *storage, const IngotDigest *digest)
{
    g_autoptr(StorageBlob) blob = storage_blob_known(storage, "a", digest);
    return blob != NULL;
}

/* What an event loop answers by itself: what was read before, unless anybody has taken it away meanwhile. */
static void memory_knows_what_is_still_there(void **state)
{
    int fd;
    guint64 at;
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) storage = storage_open_shared(path, NULL), other = storage_open_shared(path, NULL);
    g_autoptr(GByteArray) bytes = frames(1, 10, PIECE);
    IngotDigest digest = push(storage, "a", bytes), none = {0};
    pull(storage, "a", bytes);
    assert_true(is_known(storage, &digest));
    assert_false(is_known(storage, &none));
    g_autoptr(StorageBlob) blob = storage_blob_known(storage, "a", &digest);
    assert_true(storage_blob_run(blob, 100, 1000, &fd, &at));
    close(fd);
    assert_false(is_known(other, &digest)); /* that one has read nothing */
    pull(other, "a", bytes);
    assert_true(is_known(other, &digest));
    assert_true(storage_remove_blob(other, NULL, "a", &digest, NULL));
    assert_false(is_known(other, &digest));
    assert_false(is_known(storage, &digest));
}

static gint64 ask(void **state, const char *sql)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *handle;
    sqlite3_stmt *row;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, sql, -1, &row, NULL), SQLITE_OK);
    gint64 number = sqlite3_step(row) == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    sqlite3_close(handle);
    return number;
}

/* A catalogue of before there were windows, and one whose windows a flipped bit has changed. */
static void starts_are_worked_out_where_they_lack(void **state)
{
    static const char *const losses[] = {"UPDATE blobs SET starts=NULL, starts_sum=NULL",
                                         "UPDATE blobs SET starts=zeroblob(length(starts))"};
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, PIECES, PIECE);
    push(storage, "a", bytes);
    assert_int_equal(ask(state, "SELECT count(starts) FROM blobs"), 1);
    gint64 sum = ask(state, "SELECT starts_sum FROM blobs");
    for (guint i = 0; i < G_N_ELEMENTS(losses); i++) {
        storage_close(g_steal_pointer(&storage));
        ask(state, losses[i]);
        storage = open_storage(state);
        pull(storage, "a", bytes);
    }
    storage_close(g_steal_pointer(&storage)); /* which writes what was found out */
    assert_int_equal(ask(state, "SELECT starts_sum FROM blobs"), sum);
    assert_int_equal(ask(state, "SELECT sum(length(starts)) FROM blobs"), 4 * sizeof(guint64));
}

/* It was opened, and but one window of it read, when it was removed and its pieces collected. */
static void a_removed_blob_is_read_to_its_end(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, PIECES, PIECE), other = frames(200000, PIECES, PIECE);
    IngotDigest digest = push(storage, "a", bytes);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    assert_reads(blob, bytes, 0, 100);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    collect(storage);
    assert_int_equal(stats_of(storage).pieces, 0);
    push(storage, "a", other); /* its pieces get the numbers that are free now */
    assert_reads(blob, bytes, 0, bytes->len);
    assert_null(storage_blob(storage, "a", &digest, NULL));
    pull(storage, "a", other);
}

static guint open_packs(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    guint count = 0;
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        count += target != NULL && strstr(target, ".pack (deleted)") != NULL;
    }
    return count;
}

/* Whoever holds a blob without reading it holds no pack that is gone. */
static void a_held_blob_keeps_no_removed_pack(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000), more = frames(1000, 40, 60000);
    add_bytes(more, frames(1, 4, 60000));
    IngotDigest digest = push(storage, "a", bytes), kept = push(storage, "a", more);
    put_manifest(storage, "a", "1.0.0", "x", &kept, 1);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &kept, NULL);
    assert_reads(blob, more, 0, more->len);
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    collect(storage); /* what lives of the first pack moves */
    assert_int_equal(open_packs(), 0);
    assert_reads(blob, more, 0, more->len);
}

/* Another process collects and writes packs anew: this one closes those that are gone, and who reads goes on. */
static void packs_removed_by_others_are_closed(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(Storage) storage = storage_open_shared(path, NULL), other = storage_open_shared(path, NULL);
    g_autoptr(GByteArray) bytes = frames(1, 40, 60000), more = frames(1000, 40, 60000);
    add_bytes(more, frames(1, 4, 60000));
    IngotDigest removed = push(storage, "a", bytes), kept = push(storage, "a", more);
    put_manifest(storage, "a", "1.0.0", "x", &kept, 1);
    g_autoptr(StorageBlob) moved = storage_blob(storage, "a", &kept, NULL);
    g_autoptr(StorageBlob) gone = storage_blob(storage, "a", &removed, NULL);
    assert_reads(moved, more, 0, more->len);
    assert_reads(gone, bytes, 0, bytes->len);
    storage_let_go(storage); /* nothing has been removed */
    assert_true(storage_remove_blob(other, NULL, "a", &removed, NULL));
    collect(other);
    storage_let_go(storage);
    collect(other); /* what is read here is secured by now */
    assert_true(open_packs() > 0);
    storage_let_go(storage);
    assert_reads(gone, bytes, 0, bytes->len);
    assert_reads(moved, more, 0, more->len);
    g_clear_pointer(&gone, storage_blob_unref);
    assert_int_equal(open_packs(), 0);
}

/* Many read the same bad piece: it is noted once, and nobody waits for that. */
static void damage_is_noted_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, PIECES, PIECE), part = frame(2 * BLOBMAP_WINDOW, PIECE, TRUE);
    IngotDigest digest = push(storage, "a", bytes);
    damage(state, part, 1000);
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", &digest, NULL);
    g_autofree guint8 *got = g_malloc(bytes->len);
    assert_false(storage_blob_damaged(blob));
    for (guint i = 0; i < 20; i++) {
        g_autoptr(GError) error = NULL;
        assert_false(storage_blob_read_all(blob, 0, got, bytes->len, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        g_autoptr(StorageBlob) again = storage_blob(storage, "a", &digest, NULL);
        assert_true(storage_blob_damaged(again)); /* at once */
    }
    g_clear_pointer(&blob, storage_blob_unref);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    assert_int_equal(stats_of(storage).damaged, 1);
    for (guint i = 0; i < 20; i++) {
        g_autoptr(StorageBlob) again = storage_blob(storage, "a", &digest, NULL);
        assert_true(storage_blob_damaged(again));
        assert_false(storage_blob_read_all(again, 0, got, bytes->len, NULL));
    }
    assert_int_equal(stats_of(storage).damage_found, 0); /* it was known */
    push(storage, "b", bytes);
    pull(storage, "a", bytes);
}

/* A pack that is gone is damage, not a blob that never was; the next push mends it. */
static void a_lost_pack_is_damage(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 10, 60000), other = noise(2, 100), part = g_byte_array_new();
    IngotDigest digest = push(storage, "a", bytes);
    push(storage, "a", other);
    g_byte_array_append(part, bytes->data, 1000);
    storage_close(g_steal_pointer(&storage));
    g_autofree char *pack = pack_of(state, part);
    assert_int_equal(unlink(pack), 0);
    storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    assert_null(storage_blob(storage, "a", &digest, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    push(storage, "a", bytes);
    pull(storage, "a", bytes);
    assert_int_equal(stats_of(storage).damaged, 0);
}

/* What is damaged is found before anybody is kept from writing: a look at a large blob takes long. */
static void damage_is_looked_for_beside_writers(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 50000);
    IngotDigest digest = push(storage, "a", bytes), manifest;
    in_catalogue(state, "UPDATE pieces SET damaged=1");
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *writer;
    g_autoptr(GError) error = NULL;
    assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_false(try_manifest(storage, "a", "1.0.0", "new", &digest, 1, NULL, &manifest, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    g_clear_error(&error);
    assert_false(storage_mount(storage, NULL, "a", "b", &digest, &error));
    assert_null(error);
    sqlite3_close(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranges_over_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_first_byte_costs_a_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_knows_what_is_still_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(starts_are_worked_out_where_they_lack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_removed_blob_is_read_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_held_blob_keeps_no_removed_pack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packs_removed_by_others_are_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_noted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_pack_is_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_looked_for_beside_writers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

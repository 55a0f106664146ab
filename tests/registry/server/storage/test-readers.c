/* A blob that is read in one process while another removes it, and one that a client is told of meanwhile. */
#include "../fixture.h"

#include "server/catalogue/blobmap.h"
#include "server/storage/collect.h"
#include "server/storage/pulls.h"
#include "server/storage/readers.h"

#define LONG (2 * BLOBMAP_WINDOW + 10) /* pieces */
#define PIECE 5000                     /* bytes, about */

static Storage *open_beside(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(GError) error = NULL;
    Storage *storage = storage_open_shared(path, &error);
    if (storage == NULL) {
        fail_msg("%s", error->message);
    }
    return storage;
}

static CollectReport collect_with(Storage *storage, const CollectOptions *options)
{
    CollectReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_collect(storage, options, &report, &error)) {
        fail_msg("%s", error->message);
    }
    return report;
}

static CollectReport collect(Storage *storage)
{
    return collect_with(storage, &(CollectOptions){0});
}

static gboolean sweep_is_due(Storage *storage)
{
    gboolean due;
    assert_true(storage_sweep_is_due(storage, &due, NULL));
    return due;
}

static void assert_reads(StorageBlob *blob, const GByteArray *bytes)
{
    g_autofree guint8 *got = g_malloc(bytes->len);
    g_autoptr(GError) error = NULL;
    if (!read_range(blob, 0, got, bytes->len, &error)) {
        fail_msg("%s", error == NULL ? "too short" : error->message);
    }
    assert_memory_equal(got, bytes->data, bytes->len);
}

static guint64 pieces_of(Storage *storage)
{
    return stats_of(storage).pieces;
}

/* One that has read the first bytes alone reads the others when the blob has gone, and as often as it likes; its room
 * comes back when nobody reads it any more. */
static void a_reader_elsewhere_reaches_the_end(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, LONG, PIECE);
    IngotDigest digest = push(one, "a", bytes);
    g_autoptr(StorageBlob) blob = storage_blob(other, "a", &digest, NULL);
    guint8 first;
    assert_true(read_range(blob, 0, &first, 1, NULL));
    assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    for (guint i = 0; i < 3; i++) {
        assert_int_equal(collect(one).blobs, i == 0 ? 1 : 0);
        assert_int_equal(pieces_of(one), LONG);
    }
    assert_null(storage_blob(other, "a", &digest, NULL));
    assert_reads(blob, bytes);
    storage_let_go(other);
    assert_int_equal(collect(one).pieces, LONG);
    assert_int_equal(packed_bytes(state), 0);
    storage_let_go(other);
    assert_reads(blob, bytes);
    assert_int_equal(stats_of(other).damaged, 0);
}

/* Packs that are open in this process and have no name any more. */
static guint open_and_gone(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    guint count = 0;
    for (const char *name; (name = g_dir_read_name(folder)) != NULL;) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        count += target != NULL && g_str_has_suffix(target, ".pack (deleted)") ? 1 : 0;
    }
    return count;
}

/* Two clients may come upon the end of one blob at once: its room comes back all the same. */
static void a_blob_may_be_secured_twice(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, LONG, PIECE);
    IngotDigest digest = push(one, "a", bytes);
    StorageBlob *blob = storage_blob(other, "a", &digest, NULL);
    assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    collect(one);
    assert_true(readers_reach(blob));
    assert_true(readers_reach(blob));
    storage_let_go(other);
    assert_int_equal(collect(one).pieces, LONG);
    assert_reads(blob, bytes);
    storage_let_go(other);
    assert_true(open_and_gone() > 0);
    storage_blob_unref(blob);
    assert_int_equal(open_and_gone(), 0);
}

/* The same where its process notices first that the blob has gone, and where it is pushed again, cut in another way. */
static void a_reader_elsewhere_is_secured_in_time(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, LONG, PIECE);
    IngotDigest digest = push(one, "a", bytes);
    g_autoptr(StorageBlob) blob = storage_blob(other, "a", &digest, NULL);
    assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    collect(one);
    storage_let_go(other);
    assert_int_equal(collect(one).pieces, LONG);
    push(one, "a", bytes);
    assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    collect(one);
    storage_let_go(other);
    collect(one);
    assert_int_equal(packed_bytes(state), 0);
    assert_reads(blob, bytes);
}

/* A process that nobody reads in keeps nothing for longer than to its next look; one that has ended, nothing. */
static void a_process_without_readers_keeps_nothing(void **state)
{
    g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, 20, PIECE);
    for (guint i = 0; i < 2; i++) {
        IngotDigest digest = push(one, "a", bytes);
        pull(other, "a", bytes);
        assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
        CollectReport report = collect(one);
        assert_int_equal(report.held, 20);
        assert_true(report.held_bytes >= 20 * PIECE);
        assert_int_equal(pieces_of(one), 20);
        assert_false(sweep_is_due(one));
        if (i == 0) {
            storage_let_go(other);
        } else {
            g_clear_pointer(&other, storage_close);
        }
        assert_true(sweep_is_due(one));
        report = collect_with(one, &(CollectOptions){.held_only = TRUE});
        assert_int_equal(report.pieces, 20);
        assert_int_equal(report.held, 0);
        assert_int_equal(packed_bytes(state), 0);
        assert_false(sweep_is_due(one));
    }
}

/* One that ended without a word keeps it for as long as its lease lives. */
static void a_lease_that_nobody_renews_lapses(void **state)
{
    g_autoptr(Storage) one = open_beside(state);
    g_autoptr(GByteArray) bytes = frames(1, 20, PIECE);
    in_catalogue(state, "INSERT INTO leases (id, until, epoch) VALUES ('killed', 9000000000, 0)");
    IngotDigest digest = push(one, "a", bytes);
    assert_true(storage_remove_blob(one, NULL, "a", &digest, NULL));
    collect(one);
    assert_int_equal(collect(one).pieces, 0);
    in_catalogue(state, "UPDATE leases SET until=1 WHERE id='killed'");
    assert_int_equal(collect(one).pieces, 20);
}

/* --- between a look and a removal --- */

typedef struct {
    Storage *other;
    IngotDigest digest;
    gboolean asks; /* else it reads */
    StorageBlob *blob;
    guint looks;
} Meanwhile;

/* The collection has looked at what is old, and is about to remove it. */
static gboolean come_in_between(gpointer user)
{
    Meanwhile *meanwhile = user;
    if (meanwhile->looks++ == 0 && meanwhile->asks) {
        pulls_count_on(meanwhile->other, "a", &meanwhile->digest);
    } else if (meanwhile->looks == 1) {
        meanwhile->blob = storage_blob(meanwhile->other, "a", &meanwhile->digest, NULL);
    }
    return FALSE;
}

/* A push that another process has told meanwhile that the blob is there finds it; a reader that comes meanwhile reaches
 * its end. */
static void whoever_comes_before_the_removal_wins(void **state)
{
    for (guint i = 0; i < 2; i++) {
        g_autoptr(Storage) one = open_beside(state), other = open_beside(state);
        g_autoptr(GByteArray) bytes = frames(1, LONG, PIECE);
        Meanwhile meanwhile = {.other = other, .digest = push(one, "a", bytes), .asks = i == 0};
        in_catalogue(state, "UPDATE links SET made=made - 1000");
        const CollectOptions options = {.grace = 100, .stop = come_in_between, .user = &meanwhile};
        CollectReport report = collect_with(one, &options);
        assert_true(meanwhile.looks > 0);
        assert_int_equal(report.links, i == 0 ? 0 : 1);
        if (meanwhile.asks) {
            put_manifest(other, "a", "1.0.0", "counts on it", &meanwhile.digest, 1);
            collect(one);
            pull(one, "a", bytes);
            assert_true(storage_remove_tag(one, NULL, "a", "1.0.0", NULL));
            in_catalogue(state, "UPDATE links SET made=made - 1000");
            continue;
        }
        storage_let_go(other);
        collect(one);
        assert_non_null(meanwhile.blob);
        assert_reads(meanwhile.blob, bytes);
        storage_blob_unref(meanwhile.blob);
    }
}

int main(void)
{
    g_log_set_always_fatal(G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reader_elsewhere_reaches_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_elsewhere_is_secured_in_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_blob_may_be_secured_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_process_without_readers_keeps_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lease_that_nobody_renews_lapses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_comes_before_the_removal_wins, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

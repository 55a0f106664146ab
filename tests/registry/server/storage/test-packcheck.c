/* Packs that are away: none at all refuses the start, some count as damaged until they are back. */
#include "../fixture.h"

#include "server/storage/collect.h"
#include "server/storage/scrub.h"

static gboolean is_damaged(Storage *storage, const IngotDigest *digest)
{
    g_autoptr(StorageBlob) blob = storage_blob(storage, "a", digest, NULL);
    return blob == NULL || storage_blob_damaged(blob);
}

static void none_at_all_refuses_the_start(void **state)
{
    g_autofree char *data = ingot_workdir_file(*state, "data"), *packs = ingot_workdir_file(*state, "data/packs");
    g_autofree char *away = ingot_workdir_file(*state, "away");
    g_autoptr(GByteArray) bytes = noise(1, 100000), other = noise(2, 5000);
    g_autoptr(Storage) storage = open_storage(state);
    push(storage, "a", bytes);
    push(storage, "a", other);
    storage_close(g_steal_pointer(&storage));
    assert_int_equal(g_rename(packs, away), 0);
    for (guint i = 0; i < 2; i++) { /* the first try makes the folder that is missing */
        g_autoptr(GError) error = NULL;
        assert_null(storage_open(data, &error));
        assert_non_null(strstr(error->message, "none of the 2 packs"));
    }
    assert_int_equal(g_rmdir(packs), 0);
    assert_int_equal(g_rename(away, packs), 0);
    storage = open_storage(state);
    assert_int_equal(stats_of(storage).damaged, 0);
    pull(storage, "a", bytes);
    /* Nor is garbage collected while they are away. */
    CollectReport report;
    const CollectOptions options = {0};
    assert_int_equal(g_rename(packs, away), 0);
    assert_false(storage_collect(storage, &options, &report, NULL));
    assert_int_equal(g_mkdir(packs, 0700), 0);
    assert_false(storage_collect(storage, &options, &report, NULL));
    assert_int_equal(g_rmdir(packs), 0);
    assert_int_equal(g_rename(away, packs), 0);
    pull(storage, "a", other);
}

/* What was damaged before it went is still so when it is back, and a scrub while it was away changes none of that. */
static void what_is_back_is_whole_again(void **state)
{
    g_autofree char *away = ingot_workdir_file(*state, "away");
    g_autoptr(GByteArray) bytes = frames(1, 20, 60000), rotten = frames(100, 3, 60000), stays = noise(2, 5000);
    g_autoptr(GByteArray) part = g_byte_array_new();
    g_byte_array_append(part, bytes->data, 1000);
    for (guint kind = 0; kind < 3; kind++) {
        g_autoptr(Storage) storage = open_storage(state);
        IngotDigest digest = push(storage, "a", bytes), worse = push(storage, "a", rotten);
        push(storage, "a", stays);
        damage(state, rotten, 1000);
        assert_false(try_pull(storage, "a", rotten, NULL));
        storage_close(g_steal_pointer(&storage));
        g_autofree char *pack = pack_of(state, part);
        assert_int_equal(g_rename(pack, away), 0);
        storage = open_storage(state);
        assert_true(is_damaged(storage, &digest));
        assert_int_equal(stats_of(storage).damaged, 21);
        if (kind == 1) {
            ScrubReport report;
            assert_true(storage_scrub(storage, &(ScrubOptions){0}, &report, NULL));
            assert_int_equal(report.damaged, 21);
        }
        if (kind == 2) { /* half of it, as while a restore is under way */
            g_autoptr(GBytes) all = ingot_file_read(away, 10 << 20, NULL);
            assert_true(
                g_file_set_contents(pack, g_bytes_get_data(all, NULL), (gssize)g_bytes_get_size(all) / 2, NULL));
            storage_close(g_steal_pointer(&storage));
            storage = open_storage(state);
            assert_int_equal(stats_of(storage).damaged, 21);
        }
        assert_int_equal(g_rename(away, pack), 0);
        storage_close(g_steal_pointer(&storage));
        storage = open_storage(state);
        assert_false(is_damaged(storage, &digest));
        assert_true(is_damaged(storage, &worse));
        assert_int_equal(stats_of(storage).damaged, 1);
        pull(storage, "a", bytes);
        storage_close(g_steal_pointer(&storage));
        g_autofree char *data = ingot_workdir_file(*state, "data");
        assert_true(ingot_file_remove_tree(data, NULL));
    }
}

/* A blob knows its own damage whether fewer pieces are damaged than it has, or many more. */
static void each_blob_knows_its_own_damage(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) large = frames(1, 200, 5000), small = noise(1003, 5000), other = noise(1004, 5000),
                          part = noise(1, 0);
    IngotDigest first = push(storage, "a", large), second = push(storage, "a", small),
                third = push(storage, "a", other);
    ScrubReport report;
    damage(state, small, 100);
    assert_true(storage_scrub(storage, &(ScrubOptions){0}, &report, NULL));
    assert_false(is_damaged(storage, &first));
    assert_true(is_damaged(storage, &second));
    assert_false(is_damaged(storage, &third));
    g_byte_array_append(part, large->data, 1000);
    g_autofree char *pack = pack_of(state, part);
    assert_int_equal(g_unlink(pack), 0);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    assert_int_equal(stats_of(storage).damaged, 201);
    assert_true(is_damaged(storage, &first));
    assert_true(is_damaged(storage, &second));
    assert_false(is_damaged(storage, &third));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(none_at_all_refuses_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_back_is_whole_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_blob_knows_its_own_damage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

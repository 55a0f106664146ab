/* Records: a damaged one is an error to whoever asks for it, costs no other, and is made again by a rebuild. */
#include "../fixture.h"

#include "base/json.h"
#include "server/storage/backup.h"
#include "server/storage/channels.h"
#include "server/storage/condense.h"
#include "server/storage/keptmanifests.h"
#include "server/storage/moves.h"
#include "server/storage/rebuild.h"
#include "server/storage/records.h"
#include "server/storage/states.h"

static const StorageActor alice = {.name = "alice", .reason = "why"};

static void put_record(Storage *storage, const char *kind, const char *name, const char *key, int value)
{
    g_autoptr(json_t) body = json_pack("{s:i}", "value", value);
    g_autoptr(GError) error = NULL;
    if (!storage_put_record(storage, &alice, kind, name, key, body, &error)) {
        fail_msg("%s", error->message);
    }
}

static int value_of(Storage *storage, const char *kind, const char *name, const char *key)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) body = storage_record(storage, kind, name, key, &error);
    if (error != NULL) {
        fail_msg("%s", error->message);
    }
    return body == NULL ? 0 : (int)json_integer_value(json_object_get(body, "value"));
}

static void assert_damaged(const GError *error, const char *what)
{
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_non_null(strstr(error->message, what));
    assert_non_null(strstr(error->message, "`ingotd rebuild`"));
}

static void rebuild(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    RebuildReport report = {0};
    g_autoptr(GError) error = NULL;
    if (!storage_rebuild(path, &(RebuildOptions){.force = TRUE}, &report, &error)) {
        fail_msg("%s", error->message);
    }
}

/* The moves of a name, or of one of its channels, before a number (0: all) as "NUMBER CHANNEL HOW; …", the newest
 * first. */
static char *tell_moves(Storage *storage, const char *name, const char *channel, guint64 before)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) moves = storage_moves(storage, name, channel, before, 100, &error);
    GString *text = g_string_new(NULL);
    if (moves == NULL) {
        fail_msg("%s", error->message);
        return g_string_free(text, FALSE);
    }
    for (guint i = 0; i < moves->len; i++) {
        const StorageMove *one = &g_array_index(moves, StorageMove, i);
        g_string_append_printf(text, "%" G_GUINT64_FORMAT " %s %s; ", one->number, one->tag, one->how);
    }
    return g_string_free(text, FALSE);
}

static void assert_moves(Storage *storage, const char *name, const char *expected)
{
    g_autofree char *found = tell_moves(storage, name, NULL, 0);
    assert_string_equal(found, expected);
}

static void assert_moves_of(Storage *storage, const char *channel, guint64 before, const char *expected)
{
    g_autofree char *found = tell_moves(storage, "a", channel, before);
    assert_string_equal(found, expected);
}

/* --- one row --- */

static void a_damaged_record_is_an_error(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    put_record(storage, "approval", "a", "1", 1);
    put_record(storage, "approval", "a", "2", 2);
    put_record(storage, "approval", "b", "2", 3);
    in_catalogue(state, "UPDATE records SET body=replace(body, '2', '7') WHERE name='a' AND key='2'");
    g_autoptr(GError) one = NULL, all = NULL;
    assert_null(storage_record(storage, "approval", "a", "2", &one));
    assert_damaged(one, "a approval 2");
    assert_null(storage_records(storage, "approval", "a", &all));
    assert_damaged(all, "a approval 2");
    assert_int_equal(value_of(storage, "approval", "a", "1"), 1);
    assert_int_equal(value_of(storage, "approval", "b", "2"), 3);
    assert_int_equal(value_of(storage, "approval", "c", "2"), 0);
    put_record(storage, "approval", "a", "2", 4); /* what was known before is not asked for */
    assert_int_equal(value_of(storage, "approval", "a", "2"), 4);
}

static GPtrArray *apply(const GPtrArray *now, gpointer body, GError **error)
{
    (void)now, (void)error;
    GPtrArray *pipelines = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    g_ptr_array_add(pipelines, pipeline_new("team/*", body));
    return pipelines;
}

/* A pipeline's gates are not let go of: nothing is served until it is there again. */
static void a_damaged_pipeline_opens_nothing(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(json_t) body = json_pack("{s:[{s:s}]}", "channels", "name", "stable");
    Storage *storage = open_storage(state);
    assert_true(storage_change_pipelines(storage, &alice, apply, body, NULL));
    storage_close(storage);
    in_catalogue(state, "UPDATE records SET body=replace(body, 'stable', 'stably')");
    g_autoptr(GError) error = NULL;
    assert_null(storage_open(path, &error));
    assert_damaged(error, "team/* pipeline");
    rebuild(state);
    storage = open_storage(state);
    assert_true(storage_is_guarded(storage, "team/a", "stable"));
    storage_close(storage);
}

static void a_damaged_state_is_not_passed_over(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autofree char *digest = ingot_digest_to_text(&image);
    put_record(storage, STATE_RECORD, "a", digest, 1);
    in_catalogue(state, "UPDATE records SET sum=sum+1 WHERE kind='state'");
    g_autoptr(GError) states = NULL, given = NULL;
    assert_null(storage_states(storage, "a", &image, &states));
    assert_damaged(states, "a state");
    assert_null(kept_manifest_find(storage, "a", "1.0.0", &given));
    assert_true(g_error_matches(given, INGOT_ERROR, INGOT_ERROR_FAILED)); /* no push of the manifest mends it */
    assert_non_null(strstr(given->message, "`ingotd rebuild`"));
}

/* --- changes --- */

/* Nobody else may write between what the function is given and what it makes of it. */
static json_t *count_up(const json_t *body, gpointer user)
{
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(user, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_close(handle);
    return json_pack("{s:I}", "value", json_integer_value(json_object_get(body, "value")) + 1);
}

static json_t *leave_alone(const json_t *body, gpointer user)
{
    (void)body, (void)user;
    return NULL;
}

static void a_change_sees_what_it_replaces(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    g_autoptr(Storage) storage = open_storage(state);
    for (int i = 1; i <= 2; i++) {
        assert_true(storage_change_record(storage, &alice, "approval", "a", "1", count_up, path, NULL));
        assert_int_equal(value_of(storage, "approval", "a", "1"), i);
    }
    assert_true(storage_change_record(storage, &alice, "approval", "a", "1", leave_alone, NULL, NULL));
    assert_int_equal(value_of(storage, "approval", "a", "1"), 2);
    in_catalogue(state, "UPDATE records SET sum=sum+1");
    g_autoptr(GError) error = NULL;
    assert_false(storage_change_record(storage, &alice, "approval", "a", "1", count_up, path, &error));
    assert_damaged(error, "a approval 1");
}

/* --- moves --- */

static void fill_moves(Storage *storage)
{
    put_manifest(storage, "a", "dev", "one", NULL, 0);
    put_manifest(storage, "a", "dev", "two", NULL, 0);
    put_manifest(storage, "a", "prod", "two", NULL, 0);
    assert_true(storage_remove_tag(storage, &alice, "a", "dev", NULL));
    put_manifest(storage, "b", "dev", "one", NULL, 0);
}

#define MOVES "4 dev remove; 3 prod push; 2 dev push; 1 dev push; "

/* The newest move is damaged: its number is not given again, and a rebuild has it. */
static void a_number_is_given_once(void **state)
{
    Storage *storage = open_storage(state);
    fill_moves(storage);
    assert_moves(storage, "a", MOVES);
    in_catalogue(state, "UPDATE records SET body=replace(body, 'remove', 'remoue') WHERE kind='move' AND name='a'");
    g_autoptr(GError) told = NULL, moved = NULL;
    IngotDigest digest;
    assert_null(storage_moves(storage, "a", "dev", 0, 1, &told));
    assert_damaged(told, "a move 00000000000000000004");
    assert_false(try_manifest(storage, "a", "dev", "three", NULL, 0, NULL, &digest, &moved));
    assert_damaged(moved, "a move 00000000000000000004");
    put_manifest(storage, "b", "dev", "three", NULL, 0); /* others are not held up */
    assert_moves(storage, "b", "2 dev push; 1 dev push; ");
    storage_close(storage);
    rebuild(state);
    storage = open_storage(state);
    assert_moves(storage, "a", MOVES);
    put_manifest(storage, "a", "dev", "three", NULL, 0);
    assert_moves(storage, "a", "5 dev push; " MOVES);
    storage_close(storage);
}

/* However many moves the others have made: what is damaged shows that they are not even looked at. But a move of which
 * the channel can't be read might be of this one. */
static void a_channel_is_asked_for_its_own_moves_alone(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) dev = NULL, prod = NULL;
    fill_moves(storage);
    put_manifest(storage, "a", "prod", "one", NULL, 0);
    put_manifest(storage, "a", "dev", "one", NULL, 0);
    assert_moves_of(storage, "dev", 0, "6 dev push; 4 dev remove; 2 dev push; 1 dev push; ");
    assert_moves_of(storage, "dev", 4, "2 dev push; 1 dev push; ");
    assert_moves_of(storage, NULL, 3, "2 dev push; 1 dev push; ");
    assert_moves_of(storage, "made-up", 0, "");
    in_catalogue(state, "UPDATE records SET sum=sum+1 WHERE kind='move' AND body LIKE '%\"dev\"%'");
    assert_moves_of(storage, "prod", 0, "5 prod push; 3 prod push; ");
    assert_moves_of(storage, "prod", 5, "3 prod push; ");
    assert_null(storage_moves(storage, "a", "dev", 0, 1, &dev));
    assert_damaged(dev, "a move 00000000000000000006");
    in_catalogue(state,
                 "UPDATE records SET body='{\"tag', channel='' WHERE kind='move' AND name='a' AND key LIKE '%1'");
    assert_null(storage_moves(storage, "a", "prod", 0, 1, &prod));
    assert_damaged(prod, "a move 00000000000000000001");
}

/* A server of an older version that has the folder open leaves the channel out of what it writes. */
static void a_channel_has_the_moves_of_older_servers(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GError) error = NULL;
    fill_moves(storage);
    put_manifest(storage, "a", "prod", "one", NULL, 0);
    put_manifest(storage, "a", "dev", "one", NULL, 0);
    in_catalogue(state, "UPDATE records SET channel=NULL WHERE kind='move' AND name='a' AND substr(key, -1) IN"
                        " ('2', '5', '6')");
    assert_moves_of(storage, "dev", 0, "6 dev push; 4 dev remove; 2 dev push; 1 dev push; ");
    assert_moves_of(storage, "dev", 6, "4 dev remove; 2 dev push; 1 dev push; ");
    assert_moves_of(storage, "prod", 0, "5 prod push; 3 prod push; ");
    assert_moves_of(storage, "made-up", 0, "");
    in_catalogue(state, "UPDATE records SET body='{\"tag' WHERE kind='move' AND name='a' AND key LIKE '%2'");
    assert_null(storage_moves(storage, "a", "prod", 0, 1, &error));
    assert_damaged(error, "a move 00000000000000000002");
}

/* A row that is not found under its name any more: the number is given again, and a rebuild has both moves. */
static void no_move_is_lost_by_its_number(void **state)
{
    Storage *storage = open_storage(state);
    fill_moves(storage);
    in_catalogue(state, "UPDATE records SET name='c' WHERE kind='move' AND name='a' AND key LIKE '%4'");
    put_manifest(storage, "a", "dev", "three", NULL, 0);
    put_manifest(storage, "a", "prod", "three", NULL, 0);
    assert_moves(storage, "a", "5 prod push; 4 dev push; 3 prod push; 2 dev push; 1 dev push; ");
    storage_close(storage);
    rebuild(state);
    storage = open_storage(state);
    assert_moves(storage, "a", "6 prod push; 5 dev push; " MOVES);
    storage_close(storage);
    rebuild(state); /* once more changes nothing */
    storage = open_storage(state);
    assert_moves(storage, "a", "6 prod push; 5 dev push; " MOVES);
    storage_close(storage);
}

static void a_rebuild_and_a_backup_have_all_moves(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data"), *backup = ingot_workdir_file(*state, "backup");
    g_autofree char *other = ingot_workdir_file(*state, "restored");
    Storage *storage = open_storage(state);
    fill_moves(storage);
    put_record(storage, STATE_RECORD, "a", "sha256:1", 7);
    storage_close(storage);
    rebuild(state);
    g_autoptr(GError) error = NULL;
    BackupReport report;
    if (!storage_backup(path, backup, FALSE, NULL, NULL, &report, &error) ||
        !storage_restore(backup, other, FALSE, NULL, NULL, &report, &error)) {
        fail_msg("%s", error->message);
    }
    g_autoptr(Storage) restored = storage_open(other, &error);
    assert_non_null(restored);
    assert_moves(restored, "a", MOVES);
    assert_moves(restored, "b", "1 dev push; ");
    assert_int_equal(value_of(restored, STATE_RECORD, "a", "sha256:1"), 7);
}

/* --- the log --- */

/* What only the log tells any more is not lost with it. */
static void no_checkpoint_is_made_without_a_damaged_record(void **state)
{
    gboolean done;
    Storage *storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1});
    put_record(storage, STATE_RECORD, "a", "sha256:1", 7);
    in_catalogue(state, "UPDATE records SET body=replace(body, '7', '8')");
    g_autoptr(GError) error = NULL;
    assert_false(condense_when_due(storage, &done, &error));
    assert_damaged(error, "a state sha256:1");
    assert_false(done);
    storage_close(storage);
    rebuild(state);
    storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1});
    assert_int_equal(value_of(storage, STATE_RECORD, "a", "sha256:1"), 7);
    assert_true(condense_when_due(storage, &done, NULL));
    assert_true(done);
    storage_close(storage);
    rebuild(state);
    storage = open_storage(state);
    assert_int_equal(value_of(storage, STATE_RECORD, "a", "sha256:1"), 7);
    storage_close(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_record_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_pipeline_opens_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_not_passed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_sees_what_it_replaces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_number_is_given_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_move_is_lost_by_its_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_is_asked_for_its_own_moves_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_has_the_moves_of_older_servers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rebuild_and_a_backup_have_all_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_checkpoint_is_made_without_a_damaged_record, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}

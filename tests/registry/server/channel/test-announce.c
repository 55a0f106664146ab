/* What is said of an image, as the catalogue has it: what can't be read is an error and never "nothing". */
#include "../fixture.h"

#include "server/channel/announce.h"
#include "server/storage/states.h"

static const StorageActor alice = {.name = "alice"};

static void say(Storage *storage, const char *name, const IngotDigest *image, Lifecycle state, const char *reason)
{
    g_autoptr(json_t) said = lifecycle_say(state, reason, "alice", 100, 100);
    g_autoptr(GError) error = NULL;
    if (!state_say(storage, &alice, name, image, said, &error)) {
        fail_msg("%s", error->message);
    }
}

static void a_channel_is_marked(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autofree char *none = NULL, *some = NULL, *unread = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(state_mark(storage, "a", &image, &none, NULL));
    assert_null(none);
    say(storage, "a", &image, LIFECYCLE_REVOKED, "CVE-1");
    assert_true(state_mark(storage, "a", &image, &some, NULL));
    assert_non_null(strstr(some, "revoked by alice"));
    in_catalogue(state, "UPDATE records SET sum=sum+1 WHERE kind='state'");
    assert_false(state_mark(storage, "a", &image, &unread, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_null(unread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_channel_is_marked, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("announce", tests, NULL, NULL);
}

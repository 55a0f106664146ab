/* What is said of an image, as the catalogue has it: what can't be read is an error and never "nothing". */
#include "../fixture.h"

#include <sys/wait.h>

#include "server/channel/announce.h"
#include "server/storage/records.h"
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

#define WORDS 50u

/* A server of its own says so many words once the gate is closed; its status is how many it could not say. */
static pid_t speak(const char *path, const IngotDigest *image, guint words, const int gate[2])
{
    pid_t child = fork();
    if (child != 0) {
        return child;
    }
    char none;
    close(gate[1]);
    Storage *storage = storage_open_shared(path, NULL);
    int failures = (int)read(gate[0], &none, 1);
    for (guint i = 0; i < words; i++) {
        g_autofree char *reason = g_strdup_printf("%u", i);
        g_autoptr(json_t) said = lifecycle_say(LIFECYCLE_DEPRECATED, reason, "alice", 100, 100);
        failures += storage != NULL && state_say(storage, &alice, "a", image, said, NULL) ? 0 : 1;
    }
    storage_close(storage);
    _exit(failures);
}

static void assert_spoken(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Two servers on one folder. */
static void of_two_at_once_none_is_lost(void **state)
{
    IngotDigest image;
    g_autofree char *path = ingot_workdir_file(*state, "data");
    ingot_digest_of("image", 5, &image);
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    pid_t one = speak(path, &image, WORDS, gate), two = speak(path, &image, WORDS, gate);
    close(gate[1]);
    assert_spoken(one);
    assert_spoken(two);
    close(gate[0]);
    g_autofree char *digest = ingot_digest_to_text(&image);
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(json_t) body = storage_record(storage, STATE_RECORD, "a", digest, NULL);
    assert_int_equal(json_array_size(json_object_get(body, "said")), 2 * WORDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first: it forks while no storage has begun threads */
        cmocka_unit_test_setup_teardown(of_two_at_once_none_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_is_marked, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("announce", tests, NULL, NULL);
}

/* What is said of an image, as the catalogue has it: what can't be read is an error and never "nothing". */
#include "../fixture.h"

#include <ingot/manifest.h>
#include <sys/wait.h>

#include "server/channel/announce.h"
#include "server/channel/gate.h"
#include "server/storage/records.h"
#include "server/storage/states.h"

static const StorageActor alice = {.name = "alice"};

static void say(Storage *storage, const char *name, const IngotDigest *image, Lifecycle state, const char *reason)
{
    g_autoptr(json_t) said = lifecycle_say(state, reason, "alice", 100, 100);
    json_object_set_new(said, "everywhere", json_false());
    g_autoptr(GError) error = NULL;
    if (!state_say(storage, &alice, name, image, said, &error)) {
        fail_msg("%s", error->message);
    }
}

static gboolean sees_all(const char *name, gconstpointer user)
{
    return name != user;
}

static void a_channel_is_marked(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autofree char *none = NULL, *some = NULL, *unread = NULL;
    g_autoptr(GError) error = NULL;
    assert_true(state_mark(storage, "a", &image, sees_all, NULL, &none, NULL));
    assert_null(none);
    say(storage, "a", &image, LIFECYCLE_REVOKED, "CVE-1");
    assert_true(state_mark(storage, "a", &image, sees_all, NULL, &some, NULL));
    assert_non_null(strstr(some, "revoked by alice"));
    in_catalogue(state, "UPDATE records SET sum=sum+1 WHERE kind='state'");
    assert_false(state_mark(storage, "a", &image, sees_all, NULL, &unread, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_null(unread);
}

/* An index of an image. */
static IngotDigest put_several(Storage *storage, const char *name, const IngotDigest *image)
{
    g_autofree char *digest = ingot_digest_to_text(image), *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, image, &type, NULL);
    g_autofree char *text =
        g_strdup_printf("{\"manifests\":[{\"mediaType\":\"" INGOT_TYPE_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}]}",
                        digest, g_bytes_get_size(bytes));
    g_autoptr(json_t) root = ingot_json_parse(text, strlen(text), "a test", NULL);
    g_autoptr(GArray) mentions = mentions_read(root);
    const StorageManifest manifest = {
        .data = text, .size = strlen(text), .type = INGOT_TYPE_LIST, .artifact = "", .mentions = mentions};
    IngotDigest index;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, name, &manifest, &index, &error)) {
        fail_msg("%s", error->message);
    }
    return index;
}

static void of_an_index_all_that_it_has_counts_for_channels(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    IngotDigest index = put_several(storage, "a", &image);
    g_autofree char *none = NULL, *some = NULL, *unread = NULL, *digest = ingot_digest_to_text(&image);
    g_autoptr(GError) error = NULL;
    assert_false(state_keeps_from_channels(storage, "a", &index, NULL, &none, &error));
    assert_null(error);
    assert_true(state_mark(storage, "a", &index, sees_all, NULL, &none, NULL));
    assert_null(none);
    say(storage, "a", &image, LIFECYCLE_REVOKED, "CVE-1");
    assert_false(state_stands_in_the_way(storage, "a", &index, &none, NULL));
    assert_true(state_keeps_from_channels(storage, "a", &index, NULL, &some, NULL));
    assert_non_null(strstr(some, digest));
    g_clear_pointer(&some, g_free);
    assert_true(state_mark(storage, "a", &index, sees_all, NULL, &some, NULL));
    assert_non_null(strstr(some, "its image a@sha256:"));
    assert_non_null(strstr(some, "revoked by alice"));
    in_catalogue(state, "UPDATE records SET sum=sum+1 WHERE kind='state'");
    assert_false(state_keeps_from_channels(storage, "a", &index, NULL, &unread, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    assert_false(state_mark(storage, "a", &index, sees_all, NULL, &unread, NULL));
    assert_null(unread);
}

/* --- bases --- */

/* An image whose manifest names a repository for what it stands on; name NULL: none. */
static IngotDigest put_on(Storage *storage, const char *repository, const char *word, const IngotDigest *base,
                          const char *name)
{
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest manifest = {.data = word,
                                      .size = strlen(word),
                                      .type = "application/vnd.oci.image.index.v1+json",
                                      .artifact = "",
                                      .base = base,
                                      .base_name = name,
                                      .mentions = none};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, repository, &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

static gboolean sees_none(const char *name, gconstpointer user)
{
    return name == user;
}

/* Fails unless the image comes with such a word of a base (NULL: with none). */
static void assert_base(Storage *storage, const char *name, const IngotDigest *image, AnnounceSees sees,
                        const char *expected)
{
    g_autoptr(json_t) states = storage_states(storage, name, image, NULL);
    g_auto(Announcement) words = {0};
    announce(states, name, image, 1000, sees, NULL, &words);
    assert_int_equal(words.base == NULL, expected == NULL);
    assert_int_equal(words.warning == NULL, expected == NULL);
    if (expected != NULL && strstr(words.base, expected) == NULL) {
        fail_msg("%s: %s", expected, words.base);
    }
}

static void say_as(Storage *storage, const char *name, const IngotDigest *image, const char *mark, const char *reason)
{
    g_autoptr(json_t) said = lifecycle_say(LIFECYCLE_REVOKED, reason, "mallory", 100, 100);
    json_object_set_new(said, mark, json_true());
    g_autoptr(GError) error = NULL;
    if (!state_say(storage, &alice, name, image, said, &error)) {
        fail_msg("%s", error->message);
    }
}

static void assert_gate(Storage *storage, const char *name, const IngotDigest *image, gboolean passes)
{
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    const GateCase its = {storage, name, "prod", *image, "alice", 1000, none};
    GateVerdict verdict = {0};
    assert_true(gate_find("base")->judge(&its, NULL, &verdict, NULL));
    assert_int_equal(verdict.passed, passes);
    assert_true(passes || strstr(verdict.why, "revoked") != NULL);
    g_free(verdict.why);
    g_free(verdict.mend);
}

/* Whoever has a copy of a base holds up nobody else's images. */
static void a_base_is_spoken_of_where_it_is_named(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "team/base", "{\"base\":1}", NULL, NULL);
    IngotDigest middle = put_on(storage, "team/middle", "{\"middle\":1}", &base, "team/base");
    IngotDigest top = put_on(storage, "other/top", "{\"top\":1}", &middle, NULL);
    IngotDigest mallorys = put_on(storage, "mallory/x", "{\"mallory\":1}", &base, NULL);
    say(storage, "mallory/x", &base, LIFECYCLE_REVOKED, "spite");
    assert_base(storage, "team/middle", &middle, sees_all, NULL);
    assert_base(storage, "other/top", &top, sees_all, NULL);
    assert_gate(storage, "team/middle", &middle, TRUE);
    assert_base(storage, "mallory/x", &mallorys, sees_all, "spite"); /* in his own it does */
    say(storage, "team/base", &base, LIFECYCLE_DEPRECATED, "old");
    assert_base(storage, "team/middle", &middle, sees_all, "old");
    assert_base(storage, "other/top", &top, sees_all, "old"); /* what is between them names it */
    assert_base(storage, "mallory/x", &mallorys, sees_all, "spite");
    say_as(storage, "third/copy", &base, "everywhere", "CVE-1");
    assert_base(storage, "other/top", &top, sees_all, "CVE-1"); /* the strictest */
    assert_gate(storage, "team/middle", &middle, FALSE);
    say(storage, "third/copy", &base, LIFECYCLE_ACTIVE, "mine is well");
    assert_base(storage, "other/top", &top, sees_all, "CVE-1");
}

/* After an upgrade a revocation counts as before, until it is read which repository is named. */
static void a_base_whose_name_is_not_read_is_spoken_of(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "team/base", "{\"base\":1}", NULL, NULL);
    IngotDigest top = put_on(storage, "other/top", "{\"top\":1}", &base, NULL);
    say(storage, "team/base", &base, LIFECYCLE_REVOKED, "CVE-1");
    assert_gate(storage, "other/top", &top, TRUE);
    in_catalogue(state, "UPDATE bases SET name=NULL, name_sum=NULL");
    assert_base(storage, "other/top", &top, sees_all, "CVE-1");
    assert_gate(storage, "other/top", &top, FALSE);
}

/* Where both are mirrored behind one prefix, the name is that of the other registry. */
static void a_mirrored_base_is_known_behind_its_prefix(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "hub/team/base", "{\"base\":1}", NULL, NULL);
    IngotDigest image = put_on(storage, "hub/team/web", "{\"web\":1}", &base, "team/base");
    IngotDigest other = put_on(storage, "team/web", "{\"web\":1}", &base, "team/base");
    say(storage, "hub/team/base", &base, LIFECYCLE_REVOKED, "local");
    assert_base(storage, "hub/team/web", &image, sees_all, NULL);
    say_as(storage, "hub/team/base", &base, "mirrored", "upstream");
    assert_base(storage, "hub/team/web", &image, sees_all, "upstream");
    assert_base(storage, "team/web", &other, sees_all, NULL);
}

static void of_a_hidden_base_only_the_state_is_told(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "secret/base", "{\"base\":1}", NULL, NULL);
    IngotDigest image = put_on(storage, "a", "{\"web\":1}", &base, "secret/base");
    g_autofree char *mark = NULL;
    say(storage, "secret/base", &base, LIFECYCLE_REVOKED, "a secret reason");
    g_autoptr(json_t) states = storage_states(storage, "a", &image, NULL);
    g_auto(Announcement) words = {0};
    announce(states, "a", &image, 1000, sees_none, NULL, &words);
    assert_true(state_mark(storage, "a", &image, sees_none, NULL, &mark, NULL));
    const char *const texts[] = {words.base, words.why, words.warning, mark};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        assert_non_null(strstr(texts[i], "revoked"));
        assert_null(strstr(texts[i], "secret"));
        assert_null(strstr(texts[i], "alice"));
    }
    assert_base(storage, "a", &image, sees_all, "a secret reason");
}

static void a_base_of_what_an_index_has_marks_its_channels(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "a", "{\"base\":1}", NULL, NULL);
    IngotDigest image = put_on(storage, "a", "{\"web\":1}", &base, NULL);
    IngotDigest index = put_several(storage, "a", &image);
    g_autofree char *mark = NULL, *why = NULL;
    say(storage, "a", &base, LIFECYCLE_REVOKED, "CVE-1");
    assert_true(state_mark(storage, "a", &index, sees_all, NULL, &mark, NULL));
    assert_non_null(mark);
    assert_true(g_str_has_prefix(mark, "its base a@sha256:"));
    assert_false(state_keeps_from_channels(storage, "a", &index, NULL, &why, NULL));
}

/* --- the same image in other repositories --- */

/* Fails unless it is withheld in that repository, with words that have the text (NULL: it is not). */
static void assert_withheld(Storage *storage, const char *name, const IngotDigest *image, AnnounceSees sees,
                            const char *text)
{
    g_autofree char *mark = NULL, *why = NULL;
    g_autoptr(json_t) states = storage_states(storage, name, image, NULL);
    g_auto(Announcement) words = {0};
    announce(states, name, image, 1000, sees, NULL, &words);
    assert_int_equal(words.withheld, text != NULL);
    assert_true(state_mark(storage, name, image, sees, NULL, &mark, NULL));
    assert_int_equal(mark != NULL, text != NULL);
    assert_int_equal(state_stands_in_the_way(storage, name, image, &why, NULL), text != NULL);
    if (text != NULL) {
        assert_non_null(strstr(words.why, text));
        assert_non_null(strstr(mark, text));
        assert_non_null(strstr(why, "revoked"));
    }
}

static void an_admins_word_counts_for_the_same_image_everywhere(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "stage/web", "1.0.0", "one", NULL, 0);
    put_manifest(storage, "live/web", "1.0.0", "one", NULL, 0);
    say(storage, "stage/web", &image, LIFECYCLE_REVOKED, "not for us");
    assert_withheld(storage, "stage/web", &image, sees_all, "not for us");
    assert_withheld(storage, "live/web", &image, sees_all, NULL);
    say_as(storage, "stage/web", &image, "everywhere", "CVE-1");
    assert_withheld(storage, "live/web", &image, sees_all, "CVE-1 (said of it in stage/web)");
    assert_withheld(storage, "live/web", &image, sees_none, "revoked");
    say(storage, "live/web", &image, LIFECYCLE_ACTIVE, "but it runs well");
    assert_withheld(storage, "live/web", &image, sees_all, "CVE-1");

    g_autoptr(json_t) back = lifecycle_say(LIFECYCLE_ACTIVE, "false alarm", "alice", 200, 200);
    json_object_set_new(back, "everywhere", json_true());
    assert_true(state_say(storage, &alice, "stage/web", &image, back, NULL));
    assert_withheld(storage, "live/web", &image, sees_all, NULL);
    say_as(storage, "third/web", &image, "older", "nobody knows who may have said it"); /* no word of everywhere */
    assert_withheld(storage, "third/web", &image, sees_all, "nobody knows");
    assert_withheld(storage, "live/web", &image, sees_all, NULL);
}

/* Nobody who may push has words read for the images of others; damaged ones are still told. */
static void words_for_one_repository_alone_are_not_read_elsewhere(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "own/base", "{\"base\":1}", NULL, NULL);
    IngotDigest image = put_on(storage, "a", "{\"web\":1}", &base, "team/base");
    g_autoptr(GError) error = NULL;
    say(storage, "own/web", &image, LIFECYCLE_REVOKED, "\"state\":\"state\":");
    say(storage, "own/base", &base, LIFECYCLE_REVOKED, "spite");
    assert_null(storage_states_of(storage, "a", &image, &error));
    assert_null(storage_states(storage, "a", &image, &error));
    assert_null(error);
    say_as(storage, "team/base", &base, "everywhere", "CVE-1");
    g_autoptr(json_t) states = storage_states(storage, "a", &image, NULL);
    assert_int_equal(json_array_size(json_object_get(states, "bases")), 1);
    say_as(storage, "old/web", &image, "older", "nobody knows who may have said it");
    say(storage, "old/web", &image, LIFECYCLE_REVOKED, "and it alone");
    g_autoptr(json_t) with_old = storage_states_of(storage, "a", &image, NULL);
    assert_int_equal(json_array_size(json_object_get(with_old, "others")), 1);
    in_catalogue(state, "UPDATE records SET sum=sum+1 WHERE kind='state' AND name='own/web'");
    assert_null(storage_states_of(storage, "a", &image, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
}

static void of_a_hidden_repository_only_the_state_is_told(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest image = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    say_as(storage, "secret/web", &image, "everywhere", "a secret reason");
    g_autofree char *mark = NULL, *why = NULL;
    g_autoptr(json_t) states = storage_states(storage, "a", &image, NULL);
    g_auto(Announcement) words = {0};
    announce(states, "a", &image, 1000, sees_none, NULL, &words);
    assert_true(state_mark(storage, "a", &image, sees_none, NULL, &mark, NULL));
    assert_true(state_stands_in_the_way(storage, "a", &image, &why, NULL));
    const char *const texts[] = {words.said, words.why, words.warning, mark, why};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        assert_non_null(strstr(texts[i], "revoked"));
        assert_null(strstr(texts[i], "secret"));
        assert_null(strstr(texts[i], "mallory"));
    }
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
        cmocka_unit_test_setup_teardown(of_an_index_all_that_it_has_counts_for_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_is_spoken_of_where_it_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_whose_name_is_not_read_is_spoken_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mirrored_base_is_known_behind_its_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_base_of_what_an_index_has_marks_its_channels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_a_hidden_base_only_the_state_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_admins_word_counts_for_the_same_image_everywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(words_for_one_repository_alone_are_not_read_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_a_hidden_repository_only_the_state_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("announce", tests, NULL, NULL);
}

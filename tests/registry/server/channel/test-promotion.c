/* Promotions and rollbacks of channels, without the door. */
#include "../fixture.h"

#include "base/json.h"
#include "server/channel/promotion.h"
#include "server/storage/moves.h"

static const StorageActor alice = {.name = "alice"};

static PromotionResult promote(Storage *storage, const char *channel, const char *from)
{
    g_autoptr(GError) error = NULL;
    PromotionResult result = {0};
    const Promotion promotion = {.storage = storage, .name = "a", .channel = channel, .from = from, .actor = &alice};
    if (!promotion_run(&promotion, &result, &error)) {
        fail_msg("%s", error->message);
    }
    return result;
}

/* Fails unless a rollback ends at that digest; NULL: there is nothing to go back to. */
static void expect_back(Storage *storage, const char *to, const IngotDigest *digest)
{
    g_autoptr(GError) error = NULL;
    g_auto(PromotionResult) result = {0};
    const Promotion promotion = {.storage = storage, .name = "a", .channel = "prod", .from = to, .actor = &alice};
    gboolean moved = promotion_roll_back(&promotion, &result, &error);
    if (moved != (digest != NULL) || (moved && !ingot_digest_equal(&result.digest, digest))) {
        fail_msg("%s", error == NULL ? "another image" : error->message);
    }
    assert_true(moved || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
}

static IngotDigest promote_new(Storage *storage, const char *version)
{
    IngotDigest digest = put_manifest(storage, "a", version, version, NULL, 0);
    g_auto(PromotionResult) result = promote(storage, "prod", version);
    assert_true(result.moved && ingot_digest_equal(&result.digest, &digest));
    return digest;
}

/* Step by step, to the first; what came after a rollback is no way back. */
static void a_rollback_goes_one_step_back(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest one = promote_new(storage, "1.0.0");
    expect_back(storage, NULL, NULL);
    IngotDigest two = promote_new(storage, "2.0.0");
    IngotDigest three = promote_new(storage, "3.0.0");
    expect_back(storage, NULL, &two);
    promote_new(storage, "4.0.0");
    expect_back(storage, NULL, &two);
    expect_back(storage, NULL, &one);
    expect_back(storage, NULL, NULL);
    expect_back(storage, "3.0.0", &three);
    put_manifest(storage, "a", "5.0.0", "5.0.0", NULL, 0);
    expect_back(storage, "5.0.0", NULL);
}

/* It comes back as it was, whatever it named before. */
static void a_channel_that_was_removed_comes_back(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest one = promote_new(storage, "1.0.0");
    assert_true(storage_remove_tag(storage, &alice, "a", "prod", NULL));
    expect_back(storage, NULL, &one);
    IngotDigest two = promote_new(storage, "2.0.0");
    assert_true(storage_remove_tag(storage, &alice, "a", "prod", NULL));
    expect_back(storage, NULL, &two);
    assert_true(storage_remove_tag(storage, &alice, "a", "prod", NULL));
    expect_back(storage, "1.0.0", &one);
    expect_back(storage, NULL, NULL);
}

static gboolean move_by(Storage *storage, const char *request, const char *from, IngotDigest *digest)
{
    g_autoptr(GError) error = NULL;
    g_auto(PromotionResult) result = {0};
    const StorageActor actor = {.name = "alice", .request = request};
    const Promotion promotion = {.storage = storage, .name = "a", .channel = "prod", .from = from, .actor = &actor};
    if (!(from == NULL ? promotion_roll_back : promotion_run)(&promotion, &result, &error)) {
        fail_msg("%s", error->message);
    }
    *digest = result.digest;
    return result.moved;
}

/* What a request has done is not done again, whatever has happened since; another one does it. */
static void a_repetition_is_known(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest one = promote_new(storage, "1.0.0"), two = promote_new(storage, "2.0.0"), found;
    IngotDigest three = put_manifest(storage, "a", "3.0.0", "3.0.0", NULL, 0);
    for (guint i = 0; i < 2; i++) {
        assert_true(move_by(storage, "first", "3.0.0", &found) && ingot_digest_equal(&found, &three));
    }
    for (guint i = 0; i < 2; i++) {
        assert_true(move_by(storage, "second", NULL, &found) && ingot_digest_equal(&found, &two));
    }
    assert_true(move_by(storage, "first", "3.0.0", &found) && ingot_digest_equal(&found, &three));
    assert_true(storage_find_tag(storage, "a", "prod", &found, NULL) && ingot_digest_equal(&found, &two));
    assert_true(move_by(storage, "third", NULL, &found) && ingot_digest_equal(&found, &one));
    assert_false(move_by(storage, "fourth", "1.0.0", &found));
    assert_true(move_by(storage, NULL, "3.0.0", &found) && move_by(storage, NULL, "2.0.0", &found));
    g_autoptr(GArray) moves = storage_moves(storage, "a", "prod", 0, 10, NULL);
    assert_int_equal(moves->len, 7);
}

typedef struct {
    Storage *storage;
    char *request;
    IngotDigest digest;
    gboolean moved;
} Try;

static gpointer try_back(gpointer user)
{
    Try *one = user;
    const StorageActor actor = {.name = "alice", .request = one->request};
    const Promotion promotion = {.storage = one->storage, .name = "a", .channel = "prod", .actor = &actor};
    g_auto(PromotionResult) result = {0};
    one->moved = promotion_roll_back(&promotion, &result, NULL) && result.moved;
    one->digest = result.digest;
    return NULL;
}

/* Of two tries at once each says what one of them did, and the channel goes back one step. */
static void a_repetition_beside_the_first_is_known(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest found;
    promote_new(storage, "0.0.0");
    for (guint round = 1; round <= 20; round++) {
        g_autofree char *version = g_strdup_printf("%u.0.0", round), *request = g_strdup_printf("request %u", round);
        g_autofree char *next = g_strdup_printf("%u.1.0", round);
        IngotDigest before = promote_new(storage, version);
        promote_new(storage, next);
        Try tries[] = {{.storage = storage, .request = request}, {.storage = storage, .request = request}};
        GThread *other = g_thread_new("try", try_back, &tries[0]);
        try_back(&tries[1]);
        g_thread_join(other);
        assert_true(tries[0].moved && tries[1].moved);
        assert_true(ingot_digest_equal(&tries[0].digest, &before) && ingot_digest_equal(&tries[1].digest, &before));
        assert_true(storage_find_tag(storage, "a", "prod", &found, NULL) && ingot_digest_equal(&found, &before));
    }
}

/* What an upstream's channel names is ours, and logged, once somebody has promoted it there. */
static void a_channel_of_an_upstream_is_taken(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest cached = {.data = "{}",
                                    .size = 2,
                                    .type = "application/vnd.oci.image.manifest.v1+json",
                                    .tag = "prod",
                                    .mentions = none,
                                    .cached = TRUE};
    IngotDigest digest;
    assert_true(storage_put_manifest(storage, "a", &cached, &digest, NULL));
    for (guint i = 0; i < 2; i++) {
        g_auto(PromotionResult) result = promote(storage, "prod", "prod");
        assert_int_equal(result.moved, i == 0);
        assert_true(storage_is_pushed(storage, "a", "prod") && storage_has_pushed(storage, "a", &digest));
    }
    g_autoptr(GArray) moves = storage_moves(storage, "a", "prod", 0, 10, NULL);
    assert_int_equal(moves->len, 2);
    assert_string_equal(g_array_index(moves, StorageMove, 0).by, "alice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rollback_goes_one_step_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_that_was_removed_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_repetition_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_repetition_beside_the_first_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_of_an_upstream_is_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

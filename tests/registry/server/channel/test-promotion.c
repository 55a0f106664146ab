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
        cmocka_unit_test_setup_teardown(a_channel_of_an_upstream_is_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

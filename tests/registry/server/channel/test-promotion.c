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
        cmocka_unit_test_setup_teardown(a_channel_of_an_upstream_is_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

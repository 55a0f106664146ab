/* The newest events: there at once, in order, as clients may see them, and known to be lost where they are. */
#include "../fixture.h"

#include "base/json.h"
#include "server/follow/newest.h"
#include "server/storage/condense.h"
#include "server/storage/records.h"

static Newest *newest(Storage *storage)
{
    g_autoptr(GError) error = NULL;
    Newest *made = newest_new(storage, &error);
    if (made == NULL) {
        fail_msg("%s", error->message);
    }
    return made;
}

static void look(Newest *events)
{
    assert_true(newest_read(events, NULL));
    newest_take(events);
}

static guint count_behind(const Newest *events, guint64 number)
{
    guint count = 0;
    for (const GList *link = newest_behind(events, number); link != NULL; link = link->next, count++) {
        assert_int_equal(((const NewestEvent *)link->data)->number, number + count + 1);
    }
    return count;
}

/* A server that has just begun says the number of the last event to whoever asks first, and has lost none. */
static void test_there_from_the_start(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(Newest) before = newest(storage);
    assert_int_equal(newest_last(before), 0);
    put_manifest(storage, "a", "one", "1", NULL, 0);
    put_manifest(storage, "b", "one", "2", NULL, 0);
    look(before);
    guint64 last = newest_last(before);
    assert_true(last > 0);
    g_autoptr(Newest) after = newest(storage);
    assert_int_equal(newest_last(after), last);
    assert_int_equal(newest_gone(after), 0);
    assert_int_equal(count_behind(after, 0), last);
    assert_int_equal(count_behind(after, last), 0);
    put_manifest(storage, "a", "two", "3", NULL, 0);
    look(after);
    assert_true(newest_last(after) > last);
    assert_int_equal(count_behind(after, last), newest_last(after) - last);
}

static void test_behind_a_checkpoint(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    storage_limit(storage, &(StorageLimits){.log = 1});
    put_manifest(storage, "a", "one", "1", NULL, 0);
    gboolean done = FALSE;
    assert_true(condense_when_due(storage, &done, NULL));
    assert_true(done);
    g_autoptr(Newest) events = newest(storage);
    assert_true(newest_last(events) > 0);
    assert_int_equal(newest_gone(events), newest_last(events));
    assert_null(newest_behind(events, 0));
}

/* Whoever may pull a name sees what happened to it, and not who did it, from where and why. */
static void test_what_is_shown(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    const StorageActor actor = {.name = "alice", .reason = "secret", .from = "192.0.2.7"};
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    const char text[] = "{\"layers\":[]}";
    const StorageManifest manifest = {.data = text,
                                      .size = sizeof text - 1,
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = "one",
                                      .mentions = mentions,
                                      .actor = &actor};
    IngotDigest digest;
    assert_true(storage_put_manifest(storage, "team/web", &manifest, &digest, NULL));
    g_autoptr(json_t) body = json_pack("{s:s}", "approver", "alice");
    assert_true(storage_put_record(storage, &actor, "approval", "team/web", "alice", body, NULL));
    g_autoptr(Newest) events = newest(storage);
    g_autofree char *named = ingot_digest_to_text(&digest);
    gboolean tagged = FALSE;
    for (const GList *link = newest_behind(events, 0); link != NULL; link = link->next) {
        const NewestEvent *event = link->data;
        g_autoptr(json_t) line = json_loads(event->line, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(line, "number")), event->number);
        assert_string_equal(json_string_value(json_object_get(line, "name")), "team/web");
        assert_true(json_is_integer(json_object_get(line, "at")));
        tagged |= g_strcmp0(json_string_value(json_object_get(line, "op")), "tag") == 0 &&
                  g_strcmp0(json_string_value(json_object_get(line, "tag")), "one") == 0 &&
                  g_strcmp0(json_string_value(json_object_get(line, "digest")), named) == 0;
        if (strstr(event->line, "alice") != NULL || strstr(event->line, "secret") != NULL ||
            strstr(event->line, "192.0.2.7") != NULL || strstr(event->line, "prev") != NULL) {
            fail_msg("shown: %s", event->line);
        }
    }
    assert_true(tagged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_there_from_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_behind_a_checkpoint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_shown, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Time: what an upload counts on stays for as long as its bytes come, however long they take. */
#include "../fixture.h"

#include "server/storage/collect.h"

static gint64 passed; /* seconds */

/* In the place of GLib's: hours pass at once. */
gint64 g_get_real_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (now.tv_sec + passed) * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

#define FRAME 60000

/* The frames of some bytes, as an offer lists them. */
static GByteArray *list_of(const GByteArray *bytes)
{
    GByteArray *list = g_byte_array_new();
    for (guint at = 0; at < bytes->len; at += FRAME) {
        IngotDigest digest;
        guint32 length = MIN(FRAME, bytes->len - at), little = GUINT32_TO_LE(length);
        ingot_digest_of(bytes->data + at, length, &digest);
        g_byte_array_append(list, digest.bytes, sizeof digest.bytes);
        g_byte_array_append(list, (const guint8 *)&little, sizeof little);
    }
    return list;
}

static void an_offer_takes_hours(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 10 * FRAME), all = noise(1, 10 * FRAME), fresh = noise(2, 10 * FRAME);
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_byte_array_append(all, fresh->data, fresh->len);
    g_autoptr(GByteArray) list = list_of(known), more = list_of(all);
    IngotDigest digest = digest_of(known), whole = digest_of(all);
    g_autofree char *first = begin_upload(storage, NULL), *id = begin_upload(storage, NULL);
    assert_true(storage_upload_offer(storage, first, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(add_steps(storage, first, known, 0, known->len, FRAME, NULL));
    assert_true(storage_upload_finish(storage, NULL, first, 0, "a", &digest, NULL));
    assert_true(storage_upload_offer(storage, id, more->data, more->len, NULL, NULL, missing, NULL));
    assert_true(storage_remove_blob(storage, NULL, "a", &digest, NULL));
    for (guint i = 0; i < 10; i++) {
        CollectReport report;
        assert_true(storage_upload_add(storage, id, 0, i * FRAME, fresh->data + i * FRAME, FRAME, NULL));
        passed += 2400;
        assert_true(storage_collect(storage, &(CollectOptions){0}, &report, NULL));
        assert_int_equal(report.pieces, 0);
    }
    g_autoptr(GError) error = NULL;
    if (!storage_upload_finish(storage, NULL, id, 0, "a", &whole, &error)) {
        fail_msg("%s", error->message);
    }
    pull(storage, "a", all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_offer_takes_hours, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

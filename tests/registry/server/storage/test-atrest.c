/* Uploads at rest: their memory is bounded whatever was offered, and each goes on as if it had stayed in it. */
#include "../fixture.h"

#include "server/storage/atrest.h"

#define PIECE 100u
#define FRAMES 150000u /* some 6 MiB of memory for each upload */
#define MANY 12u

static char *offer(Storage *storage, const GByteArray *known, IngotDigest *whole)
{
    g_autoptr(GByteArray) list = list_of(known, PIECE), all = g_byte_array_new(), missing = g_byte_array_new();
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GError) error = NULL;
    gsize length = sizeof whole->bytes;
    for (guint i = 0; i < FRAMES; i++) {
        g_byte_array_append(all, list->data, list->len);
        g_checksum_update(sum, known->data, known->len);
    }
    g_checksum_get_digest(sum, whole->bytes, &length);
    char *id = begin_upload(storage, NULL);
    if (!storage_upload_offer(storage, id, all->data, all->len, NULL, NULL, missing, &error)) {
        fail_msg("%s", error->message);
    }
    return id;
}

static void memory_is_bounded(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, PIECE);
    g_autofree char *ids[MANY] = {NULL};
    IngotDigest digest;
    gsize most = 0;
    push(storage, "a", known);
    for (guint i = 0; i < MANY; i++) {
        ids[i] = offer(storage, known, &digest);
        most = MAX(most, atrest_memory(storage));
        assert_true(atrest_memory(storage) <= ATREST_MOST);
    }
    assert_true(most > ATREST_MOST / 2); /* it is counted */
    for (guint i = 0; i < MANY; i++) {
        guint64 size;
        assert_true(storage_upload_size(storage, ids[i], &size, NULL));
        assert_true(atrest_memory(storage) <= ATREST_MOST);
    }
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        if (!storage_upload_finish(storage, NULL, ids[i * (MANY - 1)], 0, "a", &digest, &error)) {
            fail_msg("%s", error->message);
        }
    }
    assert_true(storage_has(storage, "a", &digest));
}

/* Between two chunks of one request nothing is forgotten: the request would have lost its turn. */
static void who_works_on_one_keeps_it(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, PIECE), bytes = noise(2, 1000);
    g_autofree char *id = begin_upload(storage, NULL);
    IngotDigest digest;
    guint64 size;
    guint turn;
    push(storage, "a", known);
    assert_true(storage_upload_begin(storage, id, NULL, &turn, &size, NULL));
    assert_true(storage_upload_add(storage, id, turn, 0, bytes->data, 500, NULL));
    for (guint i = 0; i < MANY; i++) {
        g_free(offer(storage, known, &digest));
        assert_true(storage_upload_size(storage, id, &size, NULL));
    }
    assert_int_equal(size, 500);
    assert_true(storage_upload_add(storage, id, turn, 500, bytes->data + 500, 500, NULL));
    storage_upload_pause(storage, id);
    assert_true(storage_upload_size(storage, id, &size, NULL));
    assert_int_equal(size, 1000);
    ingot_digest_of(bytes->data, bytes->len, &digest);
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_works_on_one_keeps_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

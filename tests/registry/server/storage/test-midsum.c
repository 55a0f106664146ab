/* A SHA-256 that is laid down anywhere goes on as if it had not been; what an upload keeps of itself comes back as it
 * was, or not at all. */
#include "../fixture.h"

#include "server/storage/uploadstate.h"

static void goes_on_from_anywhere(void **state)
{
    g_autoptr(GByteArray) bytes = noise(1, 400);
    guint8 saved[MIDSUM_SIZE];
    (void)state;
    for (guint at = 0; at <= bytes->len; at++) {
        IngotDigest wanted, found, before;
        Midsum first, second;
        midsum_begin(&first);
        midsum_add(&first, bytes->data, at);
        midsum_save(&first, saved);
        assert_true(midsum_load(&second, saved));
        ingot_digest_of(bytes->data, at, &wanted);
        midsum_digest(&second, &before);
        assert_memory_equal(&before, &wanted, sizeof wanted);
        midsum_add(&second, bytes->data + at, bytes->len - at);
        midsum_digest(&second, &found);
        ingot_digest_of(bytes->data, bytes->len, &wanted);
        assert_memory_equal(&found, &wanted, sizeof wanted);
    }
}

static UploadState some_state(void)
{
    g_autoptr(GByteArray) bytes = noise(7, 1000);
    UploadState state = {.size = 5000000001,
                         .fresh = 123456,
                         .pieces = 77,
                         .part = 500,
                         .offered = TRUE,
                         .next = 50,
                         .hashed = 40,
                         .hashed_size = 1234567};
    gboolean ends;
    state.list = digest_of(bytes);
    state.digest = digest_of(bytes);
    midsum_begin(&state.whole);
    midsum_add(&state.whole, bytes->data, 999);
    splitter_begin(&state.splitter);
    splitter_take(&state.splitter, (const guint8 *)"\x28\xb5\x2f\xfd", 4, &ends);
    state.splitter.length = 0; /* as if a piece had ended there */
    return state;
}

static void comes_back_as_it_was(void **state)
{
    const UploadState kept = some_state();
    UploadState found;
    IngotDigest one, other;
    (void)state;
    g_autoptr(GBytes) bytes = upload_state_write(&kept, "id");
    assert_true(upload_state_read(bytes, "id", &found));
    assert_int_equal(found.size, kept.size);
    assert_int_equal(found.fresh, kept.fresh);
    assert_int_equal(found.pieces, kept.pieces);
    assert_int_equal(found.part, kept.part);
    assert_int_equal(found.next, kept.next);
    assert_int_equal(found.hashed, kept.hashed);
    assert_int_equal(found.hashed_size, kept.hashed_size);
    assert_true(found.offered);
    assert_memory_equal(&found.list, &kept.list, sizeof kept.list);
    assert_memory_equal(&found.digest, &kept.digest, sizeof kept.digest);
    assert_memory_equal(&found.splitter, &kept.splitter, sizeof kept.splitter);
    midsum_digest(&found.whole, &one);
    midsum_digest(&kept.whole, &other);
    assert_memory_equal(&one, &other, sizeof one);
}

/* Every bit of it counts, its length, and whose it is. */
static void anything_else_is_refused(void **state)
{
    const UploadState kept = some_state();
    UploadState found;
    (void)state;
    g_autoptr(GBytes) bytes = upload_state_write(&kept, "id");
    assert_false(upload_state_read(bytes, "ie", &found));
    assert_false(upload_state_read(NULL, "id", &found));
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    for (gsize i = 0; i < size * 8; i++) {
        g_autofree guint8 *copy = g_memdup2(data, size);
        copy[i / 8] ^= (guint8)(1u << (i % 8));
        g_autoptr(GBytes) wrong = g_bytes_new(copy, size);
        assert_false(upload_state_read(wrong, "id", &found));
    }
    for (gsize i = 0; i < size; i++) {
        g_autoptr(GBytes) part = g_bytes_new(data, i);
        assert_false(upload_state_read(part, "id", &found));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_from_anywhere),
        cmocka_unit_test(comes_back_as_it_was),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

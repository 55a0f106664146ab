/* Uploads at rest: their memory is bounded whatever was offered, and each goes on as if it had stayed in it. */
#include "../fixture.h"

#include "server/storage/atrest.h"
#include "server/storage/session.h"

#define PIECE 100u
#define FRAMES 150000u /* some 7 MiB of memory for each upload */
#define MANY 12u
#define ROOM (ATREST_OFFERS / (FRAMES * 48)) /* how many are worked on at once, and those of one network */
#define SHARE (SHARE_OF(ATREST_OFFERS) / (FRAMES * 48))

/* Of the known piece many times, and what `fresh` has (NULL: nothing). */
static char *offer_with(Storage *storage, const GByteArray *known, const GByteArray *fresh, IngotDigest *whole)
{
    g_autoptr(GByteArray) list = list_of(known, PIECE), all = g_byte_array_new(), missing = g_byte_array_new();
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GError) error = NULL;
    gsize length = sizeof whole->bytes;
    for (guint i = 0; i < FRAMES; i++) {
        g_byte_array_append(all, list->data, list->len);
        g_checksum_update(sum, known->data, known->len);
    }
    if (fresh != NULL) {
        g_autoptr(GByteArray) more = list_of(fresh, PIECE);
        g_byte_array_append(all, more->data, more->len);
        g_checksum_update(sum, fresh->data, fresh->len);
    }
    g_checksum_get_digest(sum, whole->bytes, &length);
    char *id = begin_upload(storage, NULL);
    if (!storage_upload_offer(storage, id, all->data, all->len, NULL, NULL, missing, &error)) {
        fail_msg("%s", error->message);
    }
    return id;
}

static char *offer(Storage *storage, const GByteArray *known, IngotDigest *whole)
{
    return offer_with(storage, known, NULL, whole);
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
    assert_true(storage_upload_begin(storage, id, 0, NULL, &turn, &size, NULL));
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

/* However many requests have begun: what they work on has a bound, of which one network has a share, and all that rest
 * make room for it. */
static void what_is_worked_on_is_bounded(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, PIECE);
    g_autofree char *ids[ROOM + 2] = {NULL};
    IngotDigest digest;
    guint held = 0, turn;
    guint64 size;
    push(storage, "a", known);
    for (guint i = 0; i < ROOM + 2; i++) {
        ids[i] = offer(storage, known, &digest);
        g_autoptr(GError) error = NULL;
        gboolean ok = storage_upload_begin(storage, ids[i], i < ROOM ? 1 : 2, NULL, &turn, &size, &error);
        assert_true(ok || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
        assert_int_equal(ok, turn != 0);
        held += ok && i < ROOM ? 1 : 0;
        assert_true(ok || i < ROOM);
        assert_true(ok || held == SHARE);
        assert_true(atrest_held(storage) + atrest_memory(storage) <= ATREST_OFFERS);
    }
    assert_int_equal(held, SHARE);
    assert_false(storage_upload_begin(storage, ids[ROOM - 1], 1, NULL, &turn, &size, NULL));
    storage_upload_pause(storage, ids[0]);
    storage_upload_pause(storage, ids[1]); /* the other network has what one of them had */
    assert_true(storage_upload_begin(storage, ids[ROOM - 1], 1, NULL, &turn, &size, NULL));
    assert_true(storage_upload_finish(storage, NULL, ids[ROOM - 1], turn, "a", &digest, NULL));
    for (guint i = 2; i < ROOM; i++) {
        storage_upload_pause(storage, ids[i]);
    }
    assert_int_equal(atrest_held(storage), 2 * (gsize)FRAMES * 48);
}

/* One that is taken in again for a request whose bytes were wrong counts like any other. */
static void what_is_taken_in_again_is_counted(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, PIECE), fresh = noise(2, PIECE), wrong = noise(3, PIECE);
    IngotDigest digest;
    guint64 size;
    guint turn;
    push(storage, "a", known);
    g_autofree char *id = offer_with(storage, known, fresh, &digest);
    assert_true(storage_upload_begin(storage, id, 1, NULL, &turn, &size, NULL));
    assert_false(storage_upload_add(storage, id, turn, 0, wrong->data, wrong->len, NULL));
    assert_true(storage_upload_size(storage, id, &size, NULL));
    assert_int_equal(atrest_held(storage) + atrest_memory(storage), (FRAMES + 1) * (gsize)48);
    storage_upload_pause(storage, id);
    assert_int_equal(atrest_held(storage), 0);
    assert_int_equal(atrest_memory(storage), (FRAMES + 1) * (gsize)48);
}

static void add_ready(Upload *upload, gpointer count)
{
    *(guint *)count += upload->ready ? 1 : 0;
}

/* What came before a crash and is found when somebody asks is kept when it is forgotten. */
static void what_was_not_kept_is_bounded_too(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, PIECE), fresh = noise(2, 2 * PIECE);
    g_autofree char *ids[MANY] = {NULL};
    IngotDigest digest;
    guint64 size;
    push(storage, "a", known);
    for (guint i = 0; i < MANY; i++) {
        ids[i] = offer_with(storage, known, fresh, &digest);
        assert_true(storage_upload_add(storage, ids[i], 0, 0, fresh->data, PIECE, NULL));
    }
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    for (guint turn = 0; turn < 2; turn++) {
        for (guint i = 0; i < MANY; i++) {
            guint ready = 0;
            assert_true(storage_upload_size(storage, ids[i], &size, NULL));
            assert_int_equal(size, PIECE);
            session_each(storage, add_ready, &ready);
            assert_true((gsize)ready * FRAMES * 48 <= ATREST_MOST);
        }
    }
    assert_true(storage_upload_add(storage, ids[0], 0, PIECE, fresh->data + PIECE, PIECE, NULL));
    assert_true(storage_upload_finish(storage, NULL, ids[0], 0, "a", &digest, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_works_on_one_keeps_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_worked_on_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_taken_in_again_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_not_kept_is_bounded_too, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

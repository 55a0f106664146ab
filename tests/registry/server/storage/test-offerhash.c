/* Offers of what is here already cost whoever makes them next to nothing, and the server a hash of all of it: nobody
 * else waits for that, and it ends with the request. */
#include "../fixture.h"

#include "server/storage/proof.h"

#define PIECE (1u << 20)
#define LARGE 20000u /* frames: 20 GB */
#define MANY 6u      /* more than are hashed at once */

static gint left;  /* atomic: the clients have left */
static gint ended; /* atomic: requests */

static gboolean has_left(gpointer user)
{
    (void)user;
    return g_atomic_int_get(&left);
}

/* So many frames, by turns the two halves of what is here. */
static char *offer(Storage *storage, const GByteArray *known, guint count, IngotDigest *whole)
{
    g_autoptr(GByteArray) list = list_of(known, PIECE), all = g_byte_array_new(), missing = g_byte_array_new();
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < count; i++) {
        g_byte_array_append(all, list->data + i % 2 * 36, 36);
        if (whole != NULL) {
            g_checksum_update(sum, known->data + i % 2 * PIECE, PIECE);
        }
    }
    if (whole != NULL) {
        gsize length = sizeof whole->bytes;
        g_checksum_get_digest(sum, whole->bytes, &length);
    }
    char *id = begin_upload(storage, NULL);
    if (!storage_upload_offer(storage, id, all->data, all->len, NULL, NULL, missing, &error)) {
        fail_msg("%s", error->message);
    }
    return id;
}

typedef struct {
    Storage *storage;
    const char *id;
    gboolean interrupted;
} Ending;

static gpointer end_upload(gpointer data)
{
    Ending *ending = data;
    OciDigest wrong = {0};
    g_autoptr(GError) error = NULL;
    do {
        g_clear_error(&error);
        ending->interrupted =
            !storage_upload_finish_named(ending->storage, NULL, ending->id, 0, "a", &wrong, has_left, NULL, &error) &&
            g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED);
    } while (ending->interrupted && !g_atomic_int_get(&left)); /* as a client does that is told to come again */
    g_atomic_int_inc(&ended);
    return NULL;
}

static void others_have_their_turn(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 2 * PIECE);
    g_autofree char *ids[MANY] = {NULL};
    GThread *threads[MANY];
    Ending endings[MANY];
    IngotDigest digest;
    guint64 size;
    push(storage, "a", known);
    g_atomic_int_set(&left, FALSE);
    g_atomic_int_set(&ended, 0);
    for (guint i = 0; i < MANY; i++) {
        ids[i] = offer(storage, known, LARGE, NULL);
        assert_true(storage_upload_ends_late(storage, ids[i], FALSE));
        endings[i] = (Ending){.storage = storage, .id = ids[i]};
        threads[i] = g_thread_new("end", end_upload, &endings[i]);
    }
    g_usleep(300000);
    g_autofree char *id = offer(storage, known, 100, &digest);
    g_autoptr(GError) error = NULL;
    if (!storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)) {
        fail_msg("%s", error->message);
    }
    assert_true(storage_has(storage, "a", &digest));
    for (guint i = 0; i < MANY; i++) { /* nobody waits for what is hashed */
        assert_true(storage_upload_size(storage, ids[i], &size, NULL));
    }
    assert_int_equal(g_atomic_int_get(&ended), 0);
    g_atomic_int_set(&left, TRUE);
    for (guint i = 0; i < MANY; i++) {
        g_thread_join(threads[i]);
        assert_true(endings[i].interrupted);
        assert_true(storage_upload_size(storage, ids[i], &size, NULL)); /* it stays */
        assert_true(storage_upload_drop(storage, ids[i], NULL));
    }
}

/* Who asks again and again comes to the end, after a restart too: what was hashed is not hashed again. */
static void each_try_goes_on(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 2 * PIECE);
    IngotDigest digest;
    guint tries = 0;
    push(storage, "a", known);
    g_autofree char *id = offer(storage, known, 600, &digest);
    const OciDigest named = oci_digest_from_sha256(&digest);
    g_autoptr(GError) error = NULL;
    g_atomic_int_set(&left, TRUE); /* at once */
    while (!storage_upload_finish_named(storage, NULL, id, 0, "a", &named, has_left, NULL, &error)) {
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
        g_clear_error(&error);
        storage_upload_pause(storage, id);
        if (++tries % 8 == 0) {
            g_clear_pointer(&storage, storage_close);
            storage = open_storage(state);
        }
        g_atomic_int_set(&left, tries % 8 == 7); /* one waits a while */
        assert_true(tries < 10000);
    }
    assert_true(storage_has(storage, "a", &digest));
}

/* A frame that is damaged here, comes once and is counted on many times costs each time the same. */
static void damage_is_looked_up_once(void **state)
{
    const guint many = 150000; /* squared, it would be an hour */
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 100), bad = noise(2, 100), list = list_of(known, 100);
    g_autoptr(GByteArray) of_bad = list_of(bad, 100), all = g_byte_array_new(), whole = g_byte_array_new();
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    push(storage, "a", known);
    push(storage, "a", bad);
    in_catalogue(state, "UPDATE pieces SET damaged=1 WHERE id=(SELECT max(id) FROM pieces)");
    for (guint i = 0; i < 2 * many; i++) {
        g_byte_array_append(all, i < many ? list->data : of_bad->data, 36);
        g_byte_array_append(whole, i < many ? known->data : bad->data, 100);
    }
    IngotDigest digest = digest_of(whole);
    g_autofree char *id = begin_upload(storage, NULL);
    if (!storage_upload_offer(storage, id, all->data, all->len, NULL, NULL, missing, &error) ||
        !storage_upload_add(storage, id, 0, 0, bad->data, bad->len, &error) ||
        !storage_upload_finish(storage, NULL, id, 0, "a", &digest, &error)) {
        fail_msg("%s", error->message);
    }
    assert_true(storage_is_whole(storage, "a", &digest));
}

/* Digests that begin alike are nobody's bytes, but anybody's list: they cost what others do. */
static void digests_may_begin_alike(void **state)
{
    const guint many = 300000; /* squared, it would be minutes */
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) all = g_byte_array_new(), missing = g_byte_array_new();
    for (guint32 i = 0; i < many; i++) {
        guint8 entry[36] = {[32] = 1};
        memcpy(entry + 4, &i, sizeof i);
        g_byte_array_append(all, entry, sizeof entry);
    }
    g_autofree char *id = begin_upload(storage, NULL);
    assert_true(storage_upload_offer(storage, id, all->data, all->len, NULL, NULL, missing, NULL));
    assert_int_equal(missing->len, (many + 7) / 8);
    assert_int_equal(missing->data[many / 8 - 1], 0xff);
}

/* Until it is hashed, and where there is much of it, it is ended where that keeps nobody else from writing: before its
 * last frame has come, too, since a request that brings that ends it as well. */
static void what_ends_late(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 2 * PIECE), fresh = noise(2, 100), all = g_byte_array_new();
    g_autoptr(GByteArray) missing = g_byte_array_new();
    const OciDigest wrong = {0};
    push(storage, "a", known);
    g_byte_array_append(all, known->data, known->len);
    g_byte_array_append(all, fresh->data, fresh->len);
    g_autoptr(GByteArray) list = list_of(all, PIECE);
    g_autofree char *id = begin_upload(storage, NULL), *large = offer(storage, known, 20, NULL);
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(storage_upload_ends_late(storage, id, FALSE));
    assert_true(storage_upload_add(storage, id, 0, 0, fresh->data, fresh->len, NULL));
    const char *const both[] = {id, large};
    for (guint i = 0; i < G_N_ELEMENTS(both); i++) {
        assert_false(storage_upload_finish_named(storage, NULL, both[i], 0, "a", &wrong, NULL, NULL, NULL));
    }
    assert_false(storage_upload_ends_late(storage, id, FALSE));
    assert_true(storage_upload_ends_late(storage, large, FALSE));
}

/* A wrong digest costs one look at each frame, however often it is given. */
static void frames_are_looked_at_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 2 * PIECE);
    const OciDigest wrong = {0};
    push(storage, "a", known);
    g_autofree char *id = offer(storage, known, 4, NULL);
    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;
        assert_false(storage_upload_finish_named(storage, NULL, id, 0, "a", &wrong, NULL, NULL, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        if (i == 0) {
            damage(state, known, 1000); /* which another look would find */
        }
    }
}

static void each_look_goes_on(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) known = noise(1, 5 * 1000), bad = noise(2, 1000), list = list_of(known, 1000);
    g_autoptr(GByteArray) missing = g_byte_array_new();
    g_autoptr(Table) table = table_new();
    g_autofree char *id = begin_upload(storage, NULL);
    IngotDigest digest = digest_of(known);
    Proven proven = {0};
    guint looks = 1;
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    assert_true(storage_upload_add(storage, id, 0, 0, known->data, known->len, NULL));
    assert_true(storage_upload_finish(storage, NULL, id, 0, "a", &digest, NULL));
    push(storage, "a", bad);
    damage(state, bad, 100);
    for (guint i = 0; i < 6; i++) {
        IngotDigest piece;
        ingot_digest_of(i == 2 ? bad->data : known->data + (i - i / 3) * 1000, 1000, &piece);
        table_add(table, &piece, 1000, FALSE);
    }
    g_autoptr(GError) error = NULL;
    for (; !proof_table(storage, table, &proven, 0, NULL, NULL, &error); looks++) {
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
        assert_int_equal(proven.count, looks);
        assert_int_equal(proven.lack, looks > 2);
        g_clear_error(&error);
    }
    assert_int_equal(looks, 6);
    assert_true(proven.lack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(others_have_their_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_try_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_looked_up_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(digests_may_begin_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_ends_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(frames_are_looked_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_look_goes_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

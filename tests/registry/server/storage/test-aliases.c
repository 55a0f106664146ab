/* What is known by a SHA-512: however its bytes came, it is found by both digests, kept for as long as it is needed,
 * and known again after a rebuild. */
#include "../fixture.h"

#include <sqlite3.h>

#include "server/storage/collect.h"
#include "server/storage/rebuild.h"
#include "server/storage/scrub.h"

static OciDigest long_digest(const GByteArray *bytes)
{
    return oci_digest_of_sha512(bytes->data, bytes->len);
}

static IngotDigest resolve(Storage *storage, const OciDigest *named)
{
    IngotDigest digest;
    assert_true(storage_resolve(storage, named, &digest, NULL));
    return digest;
}

static gboolean is_known(Storage *storage, const char *name, const OciDigest *named)
{
    IngotDigest digest = resolve(storage, named);
    return storage_has(storage, name, &digest);
}

static char *begin(Storage *storage, gboolean expected)
{
    return storage_upload_new(storage, &(StorageUpload){.name = "a", .sha512 = expected}, NULL);
}

static gboolean finish(Storage *storage, const char *id, const char *name, const OciDigest *named, GError **error)
{
    return storage_upload_finish_named(storage, NULL, id, 0, name, named, NULL, NULL, error);
}

static void assert_finished(Storage *storage, const char *id, const GByteArray *bytes)
{
    OciDigest named = long_digest(bytes);
    IngotDigest digest = digest_of(bytes);
    g_autoptr(GError) error = NULL;
    if (!finish(storage, id, "a", &named, &error)) {
        fail_msg("%s", error->message);
    }
    IngotDigest found = resolve(storage, &named);
    assert_memory_equal(&found, &digest, sizeof digest);
    pull(storage, "a", bytes);
}

static void push_long(Storage *storage, const GByteArray *bytes, gboolean expected)
{
    g_autofree char *id = begin(storage, expected);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, NULL));
    assert_finished(storage, id, bytes);
}

static void collect(Storage *storage)
{
    const CollectOptions options = {0};
    CollectReport report;
    assert_true(storage_collect(storage, &options, &report, NULL));
}

static void hear(const char *line, gpointer user)
{
    g_string_append_printf(user, "%s\n", line);
}

static guint64 inconsistencies(Storage *storage, GString *lines)
{
    const ScrubOptions options = {.tell = hear, .user = lines};
    ScrubReport report;
    assert_true(storage_scrub(storage, &options, &report, NULL));
    return report.inconsistencies + report.damaged;
}

static void change_rows(void **state, const char *sql)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_changes(handle) > 0);
    sqlite3_close(handle);
}

/* --- uploads --- */

/* New pieces, pieces that are here, pieces that come twice, none at all; hashed as they come and at the end. */
static void every_shape_has_both_digests(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) empty = g_byte_array_new(), small = noise(1, 100), large = noise(2, 5000000);
    g_autoptr(GByteArray) known = frames(1, 30, 60000), twice = frames(20, 20, 60000);
    add_bytes(twice, frames(20, 20, 60000));
    push(storage, "b", known);
    GByteArray *const shapes[] = {empty, small, large, known, twice};
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        push_long(storage, shapes[i], i % 2 == 0);
    }
    g_autoptr(IngotWorkdir) folder = ingot_workdir_new(NULL);
    void *place = folder;
    g_autoptr(Storage) other = open_storage(&place);
    for (guint i = 0; i < G_N_ELEMENTS(shapes); i++) {
        push_long(other, shapes[i], i % 2 == 1);
        push_long(other, shapes[i], FALSE); /* what is known is not worked out again */
    }
    assert_clean(storage);
    assert_clean(other);
}

static void a_wrong_digest_drops_nothing(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000), other = noise(7, 10);
    OciDigest wrong = long_digest(other);
    for (guint expected = 0; expected < 2; expected++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *id = begin(storage, expected > 0);
        assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, NULL));
        assert_false(finish(storage, id, "a", &wrong, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
        assert_false(is_known(storage, "a", &wrong));
        assert_finished(storage, id, bytes);
    }
}

static gboolean is_over(gpointer user)
{
    guint *calls = user;
    return ++*calls > 3;
}

/* A client that leaves stops the work for it, and may come back. */
static void who_leaves_stops_it(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000);
    OciDigest named = long_digest(bytes);
    guint calls = 0;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = begin(storage, FALSE);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, NULL));
    assert_false(storage_upload_finish_named(storage, NULL, id, 0, "a", &named, is_over, &calls, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
    assert_int_equal(calls, 4);
    assert_finished(storage, id, bytes);
}

/* Each try reads what the one before it did not. */
static void each_try_reads_on(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000);
    OciDigest named = long_digest(bytes);
    guint calls = 0, tries = 1;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = begin(storage, FALSE);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, NULL));
    for (; !storage_upload_finish_named(storage, NULL, id, 0, "a", &named, is_over, &calls, &error); tries++) {
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
        assert_true(tries < 30);
        g_clear_error(&error);
        calls = 0;
    }
    assert_true(tries > 5);
    assert_true(is_known(storage, "a", &named));
}

/* Never over; the first call takes longer than the end of an offer is waited for. */
static gboolean is_slow(gpointer user)
{
    guint *calls = user;
    if ((*calls)++ == 0) {
        g_usleep(G_TIME_SPAN_SECOND * 21 / 10);
    }
    return FALSE;
}

/* However long that takes: a client that came again would bring its bytes again. */
static void what_came_as_bytes_is_ended_at_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000);
    OciDigest named = long_digest(bytes);
    guint calls = 0;
    g_autofree char *id = begin(storage, FALSE);
    assert_true(add_steps(storage, id, bytes, 0, bytes->len, 70000, NULL));
    assert_true(storage_upload_finish_named(storage, NULL, id, 0, "a", &named, is_slow, &calls, NULL));
    assert_true(calls > 1);
    assert_true(is_known(storage, "a", &named));
}

static void an_upload_goes_on_after_a_restart(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = frames(1, 30, 60000);
    g_autofree char *id = begin(storage, TRUE);
    guint64 size;
    assert_true(add_steps(storage, id, bytes, 0, 1000000, 50000, NULL));
    storage_upload_pause(storage, id);
    storage_close(g_steal_pointer(&storage));
    storage = open_storage(state);
    assert_true(storage_upload_size(storage, id, &size, NULL));
    assert_true(add_steps(storage, id, bytes, size, bytes->len, 50000, NULL));
    assert_finished(storage, id, bytes);
}

/* Of an offer not all bytes come: those that are here are read. */
static void an_offer_has_both_digests(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = g_byte_array_new(), list = g_byte_array_new(), missing = g_byte_array_new();
    g_autofree char *id = begin(storage, TRUE);
    for (guint i = 0; i < 12; i++) {
        g_autoptr(GByteArray) one = frame(i % 10, 60000, TRUE);
        IngotDigest digest = digest_of(one);
        guint32 length = GUINT32_TO_LE(one->len);
        if (i < 4) {
            push(storage, "a", one);
        }
        g_byte_array_append(list, digest.bytes, sizeof digest.bytes);
        g_byte_array_append(list, (const guint8 *)&length, sizeof length);
        g_byte_array_append(bytes, one->data, one->len);
    }
    assert_true(storage_upload_offer(storage, id, list->data, list->len, NULL, NULL, missing, NULL));
    guint64 at = 0;
    for (guint i = 0; i < 12; i++) {
        g_autoptr(GByteArray) one = frame(i % 10, 60000, TRUE);
        if ((missing->data[i / 8] & (1u << (i % 8))) != 0) {
            assert_true(storage_upload_add(storage, id, 0, at, one->data, one->len, NULL));
            at += one->len;
        }
    }
    assert_true(at < bytes->len);
    assert_finished(storage, id, bytes);
}

/* --- names --- */

static IngotDigest put(Storage *storage, const char *text, const OciDigest *mentioned, const OciDigest *subject,
                       gboolean partial, GError **error)
{
    IngotDigest digest = {0};
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autofree char *subject_text = subject == NULL ? NULL : oci_digest_to_text(subject);
    if (mentioned != NULL) {
        Mention mention = {.digest = mentioned->key, .named = *mentioned};
        g_array_append_val(mentions, mention);
    }
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .tag = partial ? "partial" : "1.0.0",
                                      .subject = subject == NULL ? NULL : &subject->key,
                                      .subject_text = subject_text,
                                      .artifact = "",
                                      .partial = partial,
                                      .mentions = mentions};
    storage_put_manifest(storage, "a", &manifest, &digest, error);
    return digest;
}

/* What a manifest mentions by its SHA-512 is needed, also where it comes later; it goes with the last that needs it,
 * and what it was known by goes too. */
static void what_is_mentioned_stays(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 5000), later = noise(2, 5000);
    g_autoptr(GError) error = NULL;
    OciDigest named = long_digest(bytes), named_later = long_digest(later);
    put(storage, "{\"a\":1}", &named, NULL, FALSE, &error);
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    assert_non_null(strstr(error->message, "sha512:"));
    push_long(storage, bytes, FALSE);
    IngotDigest first = put(storage, "{\"a\":1}", &named, NULL, FALSE, NULL);
    IngotDigest second = put(storage, "{\"a\":2}", &named_later, NULL, TRUE, NULL);
    push_long(storage, later, TRUE);
    collect(storage);
    assert_true(is_known(storage, "a", &named));
    assert_true(is_known(storage, "a", &named_later));
    assert_true(storage_remove_manifest(storage, NULL, "a", &first, NULL));
    collect(storage);
    assert_false(is_known(storage, "a", &named));
    IngotDigest key = resolve(storage, &named);
    assert_memory_equal(&key, &named.key, sizeof key);
    assert_true(is_known(storage, "a", &named_later));
    assert_true(storage_remove_manifest(storage, NULL, "a", &second, NULL));
    collect(storage);
    assert_false(is_known(storage, "a", &named_later));
    assert_clean(storage);
}

static guint count_referrers(Storage *storage, const IngotDigest *subject)
{
    g_autoptr(GArray) list = storage_referrers(storage, "a", subject, NULL, NULL, 10, NULL);
    return list->len;
}

/* A subject that is named by its SHA-512 is the same as by its SHA-256, before it comes, while it is here and after. */
static void a_subject_is_one_by_both_digests(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    static const char text[] = "{\"subject\":0}";
    OciDigest named = oci_digest_of_sha512(text, strlen(text));
    IngotDigest digest;
    ingot_digest_of(text, strlen(text), &digest);
    const OciDigest by_sha256 = oci_digest_from_sha256(&digest);
    put(storage, "{\"one\":1}", NULL, &named, TRUE, NULL);
    assert_int_equal(count_referrers(storage, &named.key), 1);
    assert_int_equal(count_referrers(storage, &digest), 0);
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .named = &named,
                                      .mentions = g_array_new(FALSE, FALSE, sizeof(Mention))};
    IngotDigest found;
    assert_true(storage_put_manifest(storage, "a", &manifest, &found, NULL));
    g_array_unref((GArray *)manifest.mentions);
    assert_memory_equal(&found, &digest, sizeof digest);
    put(storage, "{\"two\":2}", NULL, &by_sha256, FALSE, NULL);
    assert_int_equal(count_referrers(storage, &named.key), 2);
    assert_int_equal(count_referrers(storage, &digest), 2);
    assert_true(storage_remove_manifest(storage, NULL, "a", &digest, NULL));
    collect(storage);
    assert_int_equal(count_referrers(storage, &named.key), 1);
}

/* What is attached by a SHA-512 lives with its subject. */
static void what_is_attached_lives_with_its_subject(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest subject = put_manifest(storage, "a", "2.0.0", "subject", NULL, 0);
    static const char text[] = "{\"layers\":[],\"text\":\"subject\"}";
    OciDigest named = oci_digest_of_sha512(text, strlen(text));
    IngotDigest attached = put(storage, "{\"one\":1}", NULL, &named, TRUE, NULL);
    assert_true(storage_remove_tag(storage, NULL, "a", "partial", NULL));
    g_autofree char *id = begin(storage, TRUE);
    assert_true(storage_upload_add(storage, id, 0, 0, text, strlen(text), NULL));
    assert_true(finish(storage, id, "a", &named, NULL));
    collect(storage);
    assert_true(storage_has_manifest(storage, "a", &attached));
    assert_true(storage_remove_manifest(storage, NULL, "a", &subject, NULL));
    collect(storage);
    assert_false(storage_has_manifest(storage, "a", &attached));
}

/* --- recovery --- */

static void a_rebuild_knows_all_again(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autofree char *path = ingot_workdir_file(*state, "data");
    g_autoptr(GByteArray) bytes = noise(1, 5000), later = noise(2, 5000);
    OciDigest named = long_digest(bytes), named_later = long_digest(later), subject = oci_digest_of_sha512("x", 1);
    put(storage, "{\"a\":2}", &named_later, &subject, TRUE, NULL);
    push_long(storage, bytes, FALSE);
    push_long(storage, later, FALSE);
    put(storage, "{\"a\":1}", &named, NULL, FALSE, NULL);
    storage_close(g_steal_pointer(&storage));
    RebuildReport report;
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    const RebuildOptions options = {.tell = hear, .user = lines};
    if (!storage_rebuild(path, &options, &report, &error) || report.lost > 0) {
        fail_msg("%s%s", error == NULL ? "" : error->message, lines->str);
    }
    storage = open_storage(state);
    assert_true(is_known(storage, "a", &named));
    assert_true(is_known(storage, "a", &named_later));
    assert_int_equal(count_referrers(storage, &subject.key), 1);
    assert_clean(storage);
}

/* A row that a flipped bit has changed names nothing, is found by a scrub, and is mended by the next push. */
static void a_damaged_row_names_nothing(void **state)
{
    static const char *const changes[] = {
        "UPDATE aliases SET digest=zeroblob(32)",
        "UPDATE aliases SET sha512=zeroblob(64)",
        "UPDATE aliases SET sum=sum+1",
    };
    g_autoptr(GByteArray) bytes = noise(1, 5000);
    OciDigest named = long_digest(bytes);
    g_autoptr(Storage) storage = open_storage(state);
    push_long(storage, bytes, FALSE);
    for (guint i = 0; i < G_N_ELEMENTS(changes); i++) {
        g_autoptr(GString) lines = g_string_new(NULL);
        storage_close(g_steal_pointer(&storage));
        change_rows(state, changes[i]);
        storage = open_storage(state);
        assert_false(is_known(storage, "a", &named));
        assert_true(inconsistencies(storage, lines) > 0);
        push_long(storage, bytes, FALSE);
        assert_clean(storage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_shape_has_both_digests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_digest_drops_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_stops_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_try_reads_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_came_as_bytes_is_ended_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_upload_goes_on_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_offer_has_both_digests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_mentioned_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_subject_is_one_by_both_digests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_attached_lives_with_its_subject, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rebuild_knows_all_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_row_names_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

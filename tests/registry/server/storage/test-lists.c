/* Lists of names by pages, and referrers by their kind. */
#include "../fixture.h"

#include <sqlite3.h>

static void change_rows(void **state, const char *sql)
{
    g_autofree char *path = ingot_workdir_file(*state, "data/catalogue.sqlite");
    sqlite3 *handle;
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_busy_timeout(handle, 10000);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_true(sqlite3_changes(handle) > 0);
    sqlite3_close(handle);
}

/* The tags of a page, with a comma behind each. */
static char *page(Storage *storage, const char *after, guint most)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) list = storage_versions(storage, "a", after, most, &error);
    GString *out = g_string_new(NULL);
    if (list == NULL) {
        fail_msg("%s", error->message);
    }
    for (guint i = 0; list != NULL && i < list->len; i++) {
        g_string_append_printf(out, "%s,", g_array_index(list, StorageVersion, i).tag);
    }
    return g_string_free(out, FALSE);
}

static void assert_page(Storage *storage, const char *after, guint most, const char *wanted)
{
    g_autofree char *found = page(storage, after, most);
    assert_string_equal(found, wanted);
}

/* In the specification's order, from behind any text, whether there is such a tag or not. */
static void tags_come_by_pages(void **state)
{
    static const char *const tags[] = {"b", "B", "a", "C", "1.0.0", "1.0.0-rc", "_x", "dev"};
    g_autoptr(Storage) storage = open_storage(state);
    for (guint i = 0; i < G_N_ELEMENTS(tags); i++) {
        put_manifest(storage, "a", tags[i], tags[i], NULL, 0);
    }
    put_manifest(storage, "other", "a0", "other", NULL, 0);
    assert_page(storage, NULL, 100, "1.0.0,1.0.0-rc,_x,a,B,b,C,dev,");
    assert_page(storage, NULL, 3, "1.0.0,1.0.0-rc,_x,");
    assert_page(storage, "_x", 3, "a,B,b,");
    assert_page(storage, "B", 3, "b,C,dev,");
    assert_page(storage, "a1", 1, "B,");
    assert_page(storage, "dev", 3, "");
    assert_page(storage, NULL, 0, "");
    change_rows(state, "UPDATE tags SET sum=sum+1 WHERE name='a'");
    assert_page(storage, "1.0.0-rc", 2, "_x,B,"); /* a damaged row makes no page shorter */
    g_autoptr(GError) error = NULL;
    assert_null(storage_versions(storage, "nothing", NULL, 10, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
}

static void a_tag_says_what_it_names(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest digest = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, "a", &digest, &type, NULL);
    g_autoptr(GArray) list = storage_versions(storage, "a", NULL, 10, NULL);
    const StorageVersion *version = &g_array_index(list, StorageVersion, 0);
    assert_int_equal(list->len, 1);
    assert_memory_equal(&version->digest, &digest, sizeof digest);
    assert_int_equal(version->size, g_bytes_get_size(bytes));
    assert_string_equal(version->type, type);
    assert_true(version->made > 1600000000);
}

/* --- versions by digest --- */

static const char *version_in(GHashTable *versions, const IngotDigest *digest)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return g_hash_table_lookup(versions, text);
}

/* It is made once, and anew when a name has changed, by whichever process: no commit of upkeep, no change of what is
 * said of the bytes alone. */
static void the_table_of_versions_is_kept(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest one = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    g_autoptr(GHashTable) first = storage_version_names(storage, "a", NULL);
    g_autoptr(GHashTable) again = storage_version_names(storage, "a", NULL);
    assert_string_equal(version_in(first, &one), "1.0.0");
    assert_ptr_equal(first, again);

    change_rows(state, "UPDATE packs SET size=size");
    g_autoptr(GHashTable) after_upkeep = storage_version_names(storage, "a", NULL);
    assert_ptr_equal(after_upkeep, first);

    IngotDigest two = put_manifest(storage, "a", "2.0.0", "two", NULL, 0);
    put_manifest(storage, "a", "1.5.0", "one", NULL, 0);
    g_autoptr(GHashTable) later = storage_version_names(storage, "a", NULL);
    assert_string_equal(version_in(later, &two), "2.0.0");
    assert_string_equal(version_in(later, &one), "1.5.0");
    assert_string_equal(version_in(first, &one), "1.0.0"); /* whoever has it keeps it as it was */

    assert_true(storage_remove_tag(storage, NULL, "a", "1.5.0", NULL));
    g_autoptr(GHashTable) removed = storage_version_names(storage, "a", NULL);
    assert_string_equal(version_in(removed, &one), "1.0.0");
}

/* --- referrers --- */

static IngotDigest attach(Storage *storage, const IngotDigest *subject, const char *kind, guint number)
{
    IngotDigest digest;
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    g_autofree char *text = g_strdup_printf("{\"artifactType\":\"%s\",\"number\":%u}", kind, number);
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = "application/vnd.oci.image.manifest.v1+json",
                                      .subject = subject,
                                      .artifact = kind,
                                      .mentions = none};
    assert_true(storage_put_manifest(storage, "a", &manifest, &digest, NULL));
    return digest;
}

static guint count(Storage *storage, const IngotDigest *subject, const char *kind)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) list = storage_referrers(storage, "a", subject, kind, NULL, 100, &error);
    if (list == NULL) {
        fail_msg("%s", error->message);
    }
    for (guint i = 0; list != NULL && kind != NULL && i < list->len; i++) {
        assert_string_equal(g_array_index(list, StorageReferrer, i).artifact, kind);
    }
    return list == NULL ? 0 : list->len;
}

static void referrers_come_by_kind_and_by_pages(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest subject = put_manifest(storage, "a", "1.0.0", "subject", NULL, 0), after;
    for (guint i = 0; i < 10; i++) {
        attach(storage, &subject, i % 3 == 0 ? "text/x" : i % 3 == 1 ? "text/y" : "", i);
    }
    assert_int_equal(count(storage, &subject, NULL), 10);
    assert_int_equal(count(storage, &subject, "text/x"), 4);
    assert_int_equal(count(storage, &subject, "text/z"), 0);
    guint found = 0;
    for (gboolean first = TRUE;; first = FALSE) {
        g_autoptr(GArray) list = storage_referrers(storage, "a", &subject, NULL, first ? NULL : &after, 3, NULL);
        found += list->len;
        if (list->len == 0) {
            break;
        }
        after = g_array_index(list, StorageReferrer, list->len - 1).digest;
    }
    assert_int_equal(found, 10);
}

/* What an older version has written is sorted when it is asked for, whatever of it can be read. */
static void older_referrers_are_sorted_once(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest subject = put_manifest(storage, "a", "1.0.0", "subject", NULL, 0);
    for (guint i = 0; i < 4; i++) {
        attach(storage, &subject, i % 2 == 0 ? "text/x" : "text/y", i);
    }
    change_rows(state, "UPDATE manifests SET artifact=NULL, artifact_sum=NULL");
    assert_int_equal(count(storage, &subject, "text/x"), 2);
    assert_int_equal(count(storage, &subject, NULL), 4);
    change_rows(state, "UPDATE manifests SET artifact='text/z' WHERE artifact='text/x'");
    assert_int_equal(count(storage, &subject, "text/z"), 0); /* what a flipped bit says is not believed */
    assert_int_equal(count(storage, &subject, NULL), 2);
    for (guint i = 0; i < 4; i++) {
        attach(storage, &subject, i % 2 == 0 ? "text/x" : "text/y", i); /* and the next push mends it */
    }
    assert_int_equal(count(storage, &subject, "text/x"), 2);
}

static void attach_two(Storage *storage, const IngotDigest *subject)
{
    attach(storage, subject, "text/x", 0);
    attach(storage, subject, "text/y", 1);
    assert_true(storage_check_referrers(storage, "a", subject, NULL));
}

/* A list that leaves out what is damaged is no answer for those who have to know of all. */
static void a_damaged_referrer_is_told(void **state)
{
    static const char *const damages[] = {
        "UPDATE manifests SET sum=sum+1 WHERE artifact='text/x'",
        "UPDATE manifests SET artifact='text/z' WHERE artifact='text/x'",
        "UPDATE manifests SET artifact_sum=artifact_sum+1 WHERE artifact='text/x'",
        "UPDATE manifests SET type='text/html' WHERE artifact='text/x'",
        /* of an older version, and not to be read */
        "UPDATE manifests SET artifact=NULL, artifact_sum=NULL, type='text/html' WHERE artifact='text/x'",
        "UPDATE aliases SET sum=sum+1 WHERE digest=(SELECT digest FROM blobs JOIN tags ON blob=id)",
    };
    for (guint i = 0; i < G_N_ELEMENTS(damages); i++) {
        g_autoptr(Storage) storage = open_storage(state);
        g_autoptr(GError) error = NULL;
        IngotDigest subject = put_manifest(storage, "a", "1.0.0", "subject", NULL, 0);
        assert_true(storage_find_alias(storage, NULL, "a", &subject, NULL));
        attach_two(storage, &subject);
        change_rows(state, damages[i]);
        assert_false(storage_check_referrers(storage, "a", &subject, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        tear_down(state);
        set_up(state);
    }
}

/* The same kind: a media type that a flipped bit has changed is mended by the next push. */
static void a_damaged_manifest_row_is_mended(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest digest = put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    change_rows(state, "UPDATE manifests SET type='text/html'");
    assert_false(storage_has_manifest(storage, "a", &digest));
    put_manifest(storage, "a", "1.0.0", "one", NULL, 0);
    assert_true(storage_has_manifest(storage, "a", &digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tags_come_by_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tag_says_what_it_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_table_of_versions_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(referrers_come_by_kind_and_by_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(older_referrers_are_sorted_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_referrer_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_manifest_row_is_mended, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

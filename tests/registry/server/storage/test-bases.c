/* Bases: who stands on whom, two levels deep and across repositories, and what outlives a removal and a rebuild. */
#include "../fixture.h"

#include "server/storage/bases.h"
#include "server/storage/collect.h"
#include "server/storage/rebuild.h"

/* A manifest that nothing but its base and a word tell from others. */
static char *manifest_on(const IngotDigest *base, const char *word)
{
    g_autofree char *text = base == NULL ? NULL : ingot_digest_to_text(base);
    g_autofree char *line =
        text == NULL ? g_strdup("")
                     : g_strdup_printf(",\"org.opencontainers.image.base.digest\":\"%s\","
                                       "\"org.opencontainers.image.base.name\":\"r.example:5000/team/base:1.0.0\"",
                                       text);
    return g_strdup_printf("{\"schemaVersion\":2,\"manifests\":[],\"annotations\":{\"word\":\"%s\"%s}}", word, line);
}

/* known: whether the base is noted as it is put; older versions did not. */
static IngotDigest put_on(Storage *storage, const char *name, const char *tag, const IngotDigest *base, gboolean known)
{
    g_autofree char *text = manifest_on(base, tag);
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = "application/vnd.oci.image.index.v1+json",
                                      .tag = tag,
                                      .artifact = "",
                                      .base = known ? base : NULL,
                                      .base_name = known && base != NULL ? "team/base" : NULL,
                                      .mentions = none};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, name, &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

static GArray *descendants(Storage *storage, const IngotDigest *base)
{
    g_autoptr(GError) error = NULL;
    GArray *list = storage_descendants(storage, base, 100, &error);
    if (list == NULL) {
        fail_msg("%s", error->message);
    }
    return list;
}

static void check_graph(Storage *storage, const IngotDigest *base, const IngotDigest *middle, const IngotDigest *top)
{
    g_autoptr(GArray) list = descendants(storage, base), above = storage_bases(storage, top, NULL);
    assert_int_equal(list->len, 2);
    const StorageDescendant *one = &g_array_index(list, StorageDescendant, 0),
                            *two = &g_array_index(list, StorageDescendant, 1);
    assert_string_equal(one->name, "team/middle");
    assert_true(ingot_digest_equal(&one->digest, middle) && ingot_digest_equal(&one->base, base));
    assert_int_equal(one->depth, 1);
    assert_string_equal(one->tags[0], "middle");
    assert_string_equal(two->name, "other/top");
    assert_true(ingot_digest_equal(&two->digest, top) && ingot_digest_equal(&two->base, middle));
    assert_int_equal(two->depth, 2);
    assert_int_equal(above->len, 2);
    assert_true(ingot_digest_equal(&g_array_index(above, StorageBase, 0).digest, middle));
    assert_true(ingot_digest_equal(&g_array_index(above, StorageBase, 1).digest, base));
    assert_string_equal(g_array_index(above, StorageBase, 0).name, "team/base");
    assert_string_equal(g_array_index(above, StorageBase, 1).name, "team/base");
}

static void test_two_levels(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "base", "base", NULL, TRUE);
    IngotDigest middle = put_on(storage, "team/middle", "middle", &base, TRUE);
    IngotDigest top = put_on(storage, "other/top", "top", &middle, TRUE);
    check_graph(storage, &base, &middle, &top);
    g_autoptr(GArray) none = descendants(storage, &top), above = storage_bases(storage, &base, NULL);
    assert_int_equal(none->len, 0);
    assert_int_equal(above->len, 0);
    g_autoptr(GArray) first = storage_descendants(storage, &base, 1, NULL);
    assert_int_equal(first->len, 1);
}

static void test_what_older_versions_took(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "base", "base", NULL, FALSE);
    IngotDigest middle = put_on(storage, "team/middle", "middle", &base, FALSE);
    IngotDigest top = put_on(storage, "other/top", "top", &middle, FALSE);
    g_autoptr(GArray) before = descendants(storage, &base);
    assert_int_equal(before->len, 0);
    assert_true(storage_read_bases(storage, NULL, NULL, NULL));
    check_graph(storage, &base, &middle, &top);
    /* Once: what is put from then on is noted as it is put. */
    IngotDigest late = put_on(storage, "late", "late", &base, FALSE);
    assert_true(storage_read_bases(storage, NULL, NULL, NULL));
    g_autoptr(GArray) above = storage_bases(storage, &late, NULL);
    assert_int_equal(above->len, 0);
}

/* What was noted before names were: it is read once more. */
static void test_names_are_read(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "base", "base", NULL, TRUE);
    IngotDigest middle = put_on(storage, "team/middle", "middle", &base, TRUE);
    IngotDigest top = put_on(storage, "other/top", "top", &middle, TRUE);
    in_catalogue(state, "UPDATE bases SET name=NULL, name_sum=NULL");
    g_autoptr(GArray) before = storage_bases(storage, &top, NULL);
    assert_null(g_array_index(before, StorageBase, 0).name);
    assert_true(g_array_index(before, StorageBase, 0).unread);
    assert_true(storage_read_bases(storage, NULL, NULL, NULL));
    check_graph(storage, &base, &middle, &top);
    g_autoptr(GArray) after = storage_bases(storage, &top, NULL);
    assert_false(g_array_index(after, StorageBase, 0).unread);
}

/* A manifest that can't be read keeps none of the others, and is read when it can be. */
static void test_unreadable_is_read_later(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "base", "base", NULL, TRUE);
    IngotDigest middle = put_on(storage, "team/middle", "middle", &base, TRUE);
    IngotDigest top = put_on(storage, "other/top", "top", &middle, TRUE);
    g_autofree char *text = manifest_on(&base, "middle");
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text));
    g_autoptr(GError) error = NULL;
    in_catalogue(state, "UPDATE bases SET name=NULL, name_sum=NULL");
    damage(state, bytes, 0);
    assert_false(storage_read_bases(storage, NULL, NULL, &error));
    assert_non_null(error);
    g_autoptr(GArray) above = storage_bases(storage, &top, NULL);
    assert_string_equal(g_array_index(above, StorageBase, 0).name, "team/base");
    assert_true(g_array_index(above, StorageBase, 1).unread);
    bytes->data[0] ^= 0x10;
    damage(state, bytes, 0); /* back */
    assert_true(storage_read_bases(storage, NULL, NULL, NULL));
    check_graph(storage, &base, &middle, &top);
}

/* What is damaged is not as if nothing stood below. */
static void test_damaged(void **state)
{
    static const char *const damages[] = {"UPDATE bases SET sum=sum+1", "UPDATE bases SET name='mallory/x'"};
    for (guint i = 0; i < G_N_ELEMENTS(damages); i++) {
        g_autoptr(Storage) storage = open_storage(state);
        IngotDigest base = put_on(storage, "base", "base", NULL, TRUE);
        IngotDigest middle = put_on(storage, "team/middle", "middle", &base, TRUE);
        g_autoptr(GError) above = NULL, below = NULL;
        in_catalogue(state, damages[i]);
        assert_null(storage_bases(storage, &middle, &above));
        assert_true(g_error_matches(above, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        assert_null(storage_descendants(storage, &base, 100, &below));
        assert_true(g_error_matches(below, INGOT_ERROR, INGOT_ERROR_CORRUPT));
        in_catalogue(state, "DELETE FROM bases");
    }
}

static void collect_all(Storage *storage)
{
    const CollectOptions options = {.grace = 0};
    CollectReport report;
    g_autoptr(GError) error = NULL;
    if (!storage_collect(storage, &options, &report, &error)) {
        fail_msg("%s", error->message);
    }
}

static void test_outlives_removal(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest base = put_on(storage, "base", "base", NULL, TRUE);
    IngotDigest middle = put_on(storage, "team/middle", "middle", &base, TRUE);
    IngotDigest top = put_on(storage, "other/top", "top", &middle, TRUE);
    assert_true(storage_remove_manifest(storage, NULL, "team/middle", &middle, NULL));
    collect_all(storage);
    g_autoptr(GArray) list = descendants(storage, &base), above = storage_bases(storage, &top, NULL);
    assert_int_equal(list->len, 1);
    assert_string_equal(g_array_index(list, StorageDescendant, 0).name, "other/top");
    assert_int_equal(g_array_index(list, StorageDescendant, 0).depth, 2);
    assert_int_equal(above->len, 2);
    assert_true(storage_remove_manifest(storage, NULL, "other/top", &top, NULL));
    collect_all(storage); /* the leaf goes, then what nothing stands on any more */
    collect_all(storage);
    g_autoptr(GArray) gone = storage_bases(storage, &middle, NULL);
    assert_int_equal(gone->len, 0);
}

static void test_rebuilt(void **state)
{
    g_autofree char *path = ingot_workdir_file(*state, "data");
    Storage *storage = open_storage(state);
    IngotDigest base = put_on(storage, "base", "base", NULL, TRUE);
    IngotDigest middle = put_on(storage, "team/middle", "middle", &base, TRUE);
    IngotDigest top = put_on(storage, "other/top", "top", &middle, TRUE);
    storage_close(storage);
    RebuildReport report = {0};
    g_autoptr(GError) error = NULL;
    if (!storage_rebuild(path, &(RebuildOptions){.force = TRUE}, &report, &error)) {
        fail_msg("%s", error->message);
    }
    storage = open_storage(state);
    check_graph(storage, &base, &middle, &top);
    storage_close(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_older_versions_took, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unreadable_is_read_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_outlives_removal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rebuilt, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("bases", tests, NULL, NULL);
}

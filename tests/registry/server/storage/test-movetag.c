/* Moving a tag: a channel comes to name only what the repository has as a whole, the manifests of an index too. */
#include "../fixture.h"

#include "server/storage/movetag.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"

static char *descriptor(const char *type, const IngotDigest *digest, const char *more)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    return g_strdup_printf("{\"mediaType\":\"%s\",\"digest\":\"%s\"%s}", type, text, more);
}

/* As a cache has it that was asked for it alone: a list of one descriptor. */
static IngotDigest put_part(Storage *storage, const char *type, const char *list, const char *one)
{
    g_autofree char *text = g_strdup_printf("{\"%s\":[%s]}", list, one);
    g_autoptr(json_t) root = manifest_parse(text, strlen(text), "the manifest", NULL);
    g_autoptr(GArray) mentions = mentions_read(root);
    const StorageManifest manifest = {.data = text,
                                      .size = strlen(text),
                                      .type = type,
                                      .tag = "1.0.0",
                                      .artifact = "",
                                      .mentions = mentions,
                                      .partial = TRUE,
                                      .cached = TRUE};
    IngotDigest digest;
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, "a", &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

/* Fails unless the channel can't be moved to it, for want of that (NULL: it can). */
static void assert_lacks(Storage *storage, const IngotDigest *to, const IngotDigest *what)
{
    IngotDigest found;
    g_autoptr(GError) error = NULL;
    const StorageMoving moving = {.name = "a", .tag = "prod", .to = to};
    gboolean moved = storage_move_tag(storage, &moving, &error);
    assert_int_equal(moved, what == NULL);
    assert_int_equal(storage_find_tag(storage, "a", "prod", &found, NULL), moved);
    if (what != NULL) {
        g_autofree char *text = ingot_digest_to_text(what);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
        assert_non_null(strstr(error->message, text));
    }
}

static void what_is_here_in_part_is_not_promoted(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 1000);
    IngotDigest blob = digest_of(bytes);
    g_autofree char *layer = descriptor("a/b", &blob, "");
    IngotDigest image = put_part(storage, MANIFEST, "layers", layer);
    assert_lacks(storage, &image, &blob);
    assert_false(storage_is_pushed(storage, "a", "1.0.0") || storage_has_pushed(storage, "a", &image));
    push(storage, "b", bytes); /* another repository's */
    assert_lacks(storage, &image, &blob);
    push(storage, "a", bytes);
    assert_lacks(storage, &image, NULL);
}

static void nor_is_an_index_of_such(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = noise(1, 1000);
    IngotDigest blob = digest_of(bytes), nowhere = {{1}};
    g_autofree char *layer = descriptor("a/b", &blob, "");
    IngotDigest image = put_part(storage, MANIFEST, "layers", layer);
    g_autofree char *entry = descriptor(MANIFEST, &image, ""), *inner = NULL,
                    *lost = descriptor(MANIFEST, &nowhere, "");
    IngotDigest index = put_part(storage, INDEX, "manifests", entry);
    inner = descriptor(INDEX, &index, "");
    IngotDigest outer = put_part(storage, INDEX, "manifests", inner);
    assert_lacks(storage, &outer, &blob);
    IngotDigest broken = put_part(storage, INDEX, "manifests", lost);
    assert_lacks(storage, &broken, &nowhere);
    push(storage, "a", bytes);
    assert_lacks(storage, &outer, NULL);
}

/* An index of two images that name so many layers each, beginning with that one. */
static IngotDigest put_crowd(Storage *storage, guint first, guint count, gboolean same)
{
    g_autoptr(GString) entries = g_string_new(NULL);
    for (guint image = 0; image < 2; image++) {
        g_autoptr(GString) layers = g_string_new(NULL);
        for (guint i = 0; i < count; i++) {
            guint number = same ? first : first + image * count + i;
            IngotDigest layer;
            ingot_digest_of(&number, sizeof number, &layer);
            g_autofree char *text = ingot_digest_to_text(&layer);
            g_string_append_printf(layers, "%s{\"digest\":\"%s\"}", i == 0 ? "" : ",", text);
        }
        g_string_append_printf(layers, ",{\"digest\":\"sha256:%064u\",\"urls\":[\"https://r.example/\"]}", image);
        IngotDigest digest = put_part(storage, MANIFEST, "layers", layers->str);
        g_autofree char *entry = descriptor(MANIFEST, &digest, "");
        g_string_append_printf(entries, "%s%s", image == 0 ? "" : ",", entry);
    }
    return put_part(storage, INDEX, "manifests", entries->str);
}

/* An index of so many images, each of almost 4 MiB. */
static IngotDigest put_bulk(Storage *storage, guint count)
{
    g_autofree char *padding = g_strnfill(4000 << 10, 'x');
    g_autoptr(GString) entries = g_string_new(NULL);
    for (guint image = 0; image < count; image++) {
        g_autofree char *layer =
            g_strdup_printf("{\"digest\":\"sha256:%064u\",\"urls\":[\"https://r.example/%s\"]}", image, padding);
        IngotDigest digest = put_part(storage, MANIFEST, "layers", layer);
        g_autofree char *entry = descriptor(MANIFEST, &digest, "");
        g_string_append_printf(entries, "%s%s", image == 0 ? "" : ",", entry);
    }
    return put_part(storage, INDEX, "manifests", entries->str);
}

static void assert_too_much(Storage *storage, const IngotDigest *to)
{
    g_autoptr(GError) error = NULL;
    const StorageMoving moving = {.name = "a", .tag = "prod", .to = to};
    assert_false(storage_move_tag(storage, &moving, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
}

/* What one promotion looks at is bounded, and what is named again and again counts once. */
static void what_needs_too_much_is_not_promoted(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    guint number = 1;
    g_byte_array_append(bytes, (const guint8 *)&number, sizeof number);
    IngotDigest many = put_crowd(storage, 2, 1u << 15, FALSE), bulk = put_bulk(storage, 17);
    assert_too_much(storage, &many);
    assert_too_much(storage, &bulk);
    push(storage, "a", bytes);
    IngotDigest again = put_crowd(storage, number, 1u << 15, TRUE);
    assert_lacks(storage, &again, NULL);
}

/* Whoever is refused is told the request that brings what lacks, a manifest's or a blob's. */
static void what_helps_is_told(void **state)
{
    static const char *const kinds[] = {"blobs", "manifests"};
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest nowhere = {{1}};
    g_autofree char *text = ingot_digest_to_text(&nowhere), *layer = descriptor("a/b", &nowhere, "");
    g_autofree char *entry = descriptor(MANIFEST, &nowhere, "");
    const IngotDigest lacking[] = {put_part(storage, MANIFEST, "layers", layer),
                                   put_part(storage, INDEX, "manifests", entry)};
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autoptr(GError) error = NULL;
        const StorageMoving moving = {.name = "a", .tag = "prod", .to = &lacking[i]};
        g_autofree char *request = g_strdup_printf("for all platforms; GET /v2/a/%s/%s from", kinds[i], text);
        assert_false(storage_move_tag(storage, &moving, &error));
        assert_non_null(strstr(error->message, request));
    }
}

/* An index of a repository that may lack manifests, and layers that lie elsewhere. */
static void what_may_lack_is_promoted(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest nowhere = {{1}};
    g_autofree char *lost = descriptor(MANIFEST, &nowhere, "");
    g_autofree char *foreign = descriptor("a/b", &nowhere, ",\"urls\":[\"https://r.example/layer\"]");
    storage_limit(storage, &(StorageLimits){.sparse = "a"});
    IngotDigest index = put_part(storage, INDEX, "manifests", lost);
    assert_lacks(storage, &index, NULL);
    assert_true(storage_remove_tag(storage, NULL, "a", "prod", NULL));
    IngotDigest image = put_part(storage, MANIFEST, "layers", foreign);
    assert_lacks(storage, &image, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_here_in_part_is_not_promoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nor_is_an_index_of_such, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_needs_too_much_is_not_promoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_helps_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_lack_is_promoted, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("movetag", tests, NULL, NULL);
}

/* A release of boxes to a version that is there: what the version named is still what clients take by it. */
#include "../fixture.h"

#include <ingot/manifest.h>

#include "server/boxes/boxrelease.h"
#include "server/channel/announce.h"

/* A disk, its config in a repository that may be another one. */
static IngotDigest put_disk(Storage *storage, const char *tag, const char *config, const char *holder)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_byte_array_append(bytes, (const guint8 *)config, (guint)strlen(config));
    IngotDigest blob = push(storage, holder, bytes), digest;
    g_autofree char *named = ingot_digest_to_text(&blob);
    g_autofree char *text = g_strdup_printf(
        "{\"artifactType\":\"" INGOT_TYPE_IMAGE "\",\"config\":{\"digest\":\"%s\",\"size\":%u}}", named, bytes->len);
    g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(Mention));
    const StorageManifest manifest = {
        .data = text, .size = strlen(text), .type = INGOT_TYPE_MANIFEST, .tag = tag, .artifact = "", .mentions = none};
    g_autoptr(GError) error = NULL;
    if (!storage_put_manifest(storage, "a", &manifest, &digest, &error)) {
        fail_msg("%s", error->message);
    }
    return digest;
}

/* A box of the version that was taken in. */
static void record_box(Storage *storage, const char *version, const char *architecture, const IngotDigest *image)
{
    g_autofree char *key = box_provider_key(version, "libvirt", architecture), *digest = ingot_digest_to_text(image);
    g_autoptr(json_t) body = json_pack("{s:s}", "image", digest);
    assert_true(storage_put_record(storage, NULL, BOX_PROVIDER_RECORD, "a", key, body, NULL));
}

/* Fails unless it ends so (0: well), and the version names the image still if it does not. */
static void assert_release(Storage *storage, const char *version, const IngotDigest *image, int code)
{
    IngotDigest now;
    g_autoptr(GError) error = NULL;
    gboolean ok = box_release(storage, NULL, "a", version, &error);
    if (ok != (code == 0) || (!ok && !g_error_matches(error, INGOT_ERROR, code))) {
        fail_msg("%s: %s", version, ok ? "released" : error->message);
    }
    assert_true(storage_find_tag(storage, "a", version, &now, NULL));
    assert_int_equal(ingot_digest_equal(&now, image), !ok);
}

#define AMD64 "{\"architecture\":\"amd64\"}"
#define ARM64 "{\"architecture\":\"arm64\"}"

static void a_box_comes_behind_what_its_version_named(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest first = put_disk(storage, "1.0.0", AMD64, "a"), box = put_disk(storage, NULL, ARM64, "a"), index;
    record_box(storage, "1.0.0", "arm64", &box);
    assert_release(storage, "1.0.0", &first, 0);
    assert_true(storage_find_tag(storage, "a", "1.0.0", &index, NULL));
    g_autofree char *type = NULL, *digest = ingot_digest_to_text(&first);
    g_autoptr(GBytes) bytes = storage_manifest(storage, "a", &index, &type, NULL);
    g_autoptr(json_t) root = ingot_json_parse_bytes(bytes, "index", 100, NULL);
    const json_t *entry = json_array_get(json_object_get(root, "manifests"), 0);
    g_autoptr(json_t) platform = json_pack("{s:s, s:s}", "os", "linux", "architecture", "amd64");
    assert_string_equal(json_string_value(json_object_get(entry, "digest")), digest);
    assert_true(json_equal(json_object_get(entry, "platform"), platform));
}

/* An entry without a platform would be passed over for ever. */
static void what_does_not_say_its_platform_gets_no_box(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest box = put_disk(storage, NULL, ARM64, "a");
    IngotDigest unread = put_disk(storage, "1.0.0", AMD64, "b"), silent = put_disk(storage, "2.0.0", "{}", "a");
    IngotDigest artifact = put_manifest(storage, "a", "3.0.0", "an artifact", NULL, 0);
    const char *const versions[] = {"1.0.0", "2.0.0", "3.0.0"};
    for (guint i = 0; i < G_N_ELEMENTS(versions); i++) {
        record_box(storage, versions[i], "arm64", &box);
    }
    assert_release(storage, "1.0.0", &unread, INGOT_ERROR_NOT_FOUND);
    assert_release(storage, "2.0.0", &silent, INGOT_ERROR_INVALID);
    assert_release(storage, "3.0.0", &artifact, INGOT_ERROR_INVALID);
}

static void what_is_withheld_gets_no_box(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest first = put_disk(storage, "1.0.0", AMD64, "a"), box = put_disk(storage, NULL, ARM64, "a");
    g_autoptr(json_t) said = lifecycle_say(LIFECYCLE_REVOKED, "CVE-1", "alice", 100, 100);
    record_box(storage, "1.0.0", "arm64", &box);
    assert_true(state_say(storage, NULL, "a", &first, said, NULL));
    assert_release(storage, "1.0.0", &first, INGOT_ERROR_DENIED);
}

/* A catalogue would have the one that was there first. */
static void no_two_images_are_one_box(void **state)
{
    g_autoptr(Storage) storage = open_storage(state);
    IngotDigest any = put_disk(storage, "1.0.0", AMD64, "a"), qemu, box;
    qemu = put_disk(storage, "2.0.0", "{\"architecture\":\"amd64\",\"outputs\":[\"vagrant-qemu\"]}", "a");
    box = put_disk(storage, NULL, "{\"architecture\":\"amd64\",\"outputs\":[\"vagrant-libvirt\"]}", "a");
    record_box(storage, "1.0.0", "amd64", &box);
    record_box(storage, "2.0.0", "amd64", &box);
    record_box(storage, "2.0.0", "unknown", &box);
    assert_release(storage, "1.0.0", &any, INGOT_ERROR_INVALID);
    assert_release(storage, "2.0.0", &qemu, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_box_comes_behind_what_its_version_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_say_its_platform_gets_no_box, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_withheld_gets_no_box, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_two_images_are_one_box, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("boxrelease", tests, NULL, NULL);
}

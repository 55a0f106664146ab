/* Manifests and configs of one disk and of several: what is written is read again; what does not fit is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"

static IngotDescriptor blob(const char *text)
{
    IngotDescriptor descriptor = {.size = strlen(text)};
    ingot_digest_of(text, strlen(text), &descriptor.digest);
    return descriptor;
}

static IngotManifest *manifest_of(guint disks)
{
    const IngotDescriptor config = blob("config");
    IngotManifest *manifest = ingot_manifest_new(&config, NULL);
    for (guint i = 0; i < disks; i++) {
        g_autofree char *index = g_strdup_printf("index %u", i), *disk = g_strdup_printf("disk %u", i);
        const IngotDescriptor of_index = blob(index), of_disk = blob(disk);
        ingot_manifest_add_disk(manifest, &of_index, &of_disk);
    }
    return manifest;
}

static void check_same(const IngotManifest *a, const IngotManifest *b)
{
    assert_true(ingot_digest_equal(&a->config.digest, &b->config.digest));
    assert_int_equal(a->disks->len, b->disks->len);
    for (guint i = 0; i < a->disks->len; i++) {
        const IngotDiskPair *one = ingot_manifest_disk(a, i), *other = ingot_manifest_disk(b, i);
        assert_true(ingot_digest_equal(&one->index.digest, &other->index.digest));
        assert_true(ingot_digest_equal(&one->disk.digest, &other->disk.digest));
        assert_int_equal(one->disk.size, other->disk.size);
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const guint counts[] = {1, 2, 3, INGOT_DISKS_MAX};
    for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
        g_autoptr(IngotManifest) manifest = manifest_of(counts[i]);
        g_autofree char *text = ingot_manifest_to_text(manifest);
        g_autoptr(IngotManifest) again = ingot_manifest_parse(text, strlen(text), "text", NULL);
        assert_non_null(again);
        check_same(manifest, again);
        assert_int_equal(strstr(text, "\"vnd.ingot.disk\"") != NULL, counts[i] > 1);
        g_autoptr(GError) error = NULL;
        assert_int_equal(ingot_manifest_has_one_disk(again, "web", &error), counts[i] == 1);
        assert_true(counts[i] == 1 || g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID));
    }
}

/* As release 0.1 wrote it. */
static void one_disk_has_the_same_text(void **state)
{
    (void)state;
    g_autoptr(IngotManifest) manifest = manifest_of(1);
    g_autofree char *text = ingot_manifest_to_text(manifest);
    const IngotDescriptor of_text = blob(text);
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&of_text.digest, digest);
    assert_int_equal(of_text.size, 576);
    assert_string_equal(digest, "sha256:b81d0c89b9d75fccaeb732b3f7f95f3eb8de78d2d297aa88d66d91c5e824c63b");
}

/* The text of two disks, with one place changed. */
static void refused(const char *from, const char *to, IngotError code, const char *told)
{
    g_autoptr(IngotManifest) manifest = manifest_of(2);
    g_autofree char *text = ingot_manifest_to_text(manifest);
    const char *at = strstr(text, from);
    assert_non_null(at);
    g_autofree char *before = g_strndup(text, (gsize)(at - text));
    g_autofree char *changed = g_strconcat(before, to, at + strlen(from), NULL);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_manifest_parse(changed, strlen(changed), "web", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, (gint)code));
    assert_true(g_str_has_prefix(error->message, "web: "));
    assert_non_null(strstr(error->message, told));
}

static void disks_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refused("\"vnd.ingot.disk\":\"0\"", "\"vnd.ingot.disk\":\"1\"", INGOT_ERROR_CORRUPT, "disk 0 is expected");
    refused("\"vnd.ingot.disk\":\"1\"", "\"vnd.ingot.disk\":\"2\"", INGOT_ERROR_CORRUPT, "disk 1 is expected");
    refused("{\"vnd.ingot.disk\":\"0\"}", "{}", INGOT_ERROR_CORRUPT, "disk 0 is expected");
    refused("vnd.ingot.disk.v1+zstd\",\"size\":6}]", "vnd.ingot.disk.v1+zstd\",\"size\":-6}]", INGOT_ERROR_CORRUPT,
            "size");
    refused("vnd.ingot.disk.v1+zstd\",\"size\":6}]", "vnd.ingot.disk.v2+zstd\",\"size\":6}]", INGOT_ERROR_TOO_NEW,
            "newer");
}

static void too_many_disks_are_refused(void **state)
{
    (void)state;
    g_autoptr(IngotManifest) manifest = manifest_of(INGOT_DISKS_MAX + 1);
    g_autofree char *text = ingot_manifest_to_text(manifest);
    g_autoptr(GError) error = NULL;
    assert_null(ingot_manifest_parse(text, strlen(text), "web", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT));
}

/* Layers behind the disk that are of no disk are somebody else's. */
static void further_layers_are_no_disks(void **state)
{
    (void)state;
    g_autoptr(IngotManifest) manifest = manifest_of(1);
    g_autofree char *text = ingot_manifest_to_text(manifest);
    g_autoptr(json_t) root = ingot_json_parse(text, strlen(text), "text", NULL);
    json_t *layers = json_object_get(root, "layers");
    json_array_append_new(layers, json_deep_copy(json_array_get(layers, 0)));
    g_autofree char *more = ingot_json_canonical(root);
    g_autoptr(IngotManifest) again = ingot_manifest_parse(more, strlen(more), "text", NULL);
    assert_non_null(again);
    check_same(manifest, again);
}

/* --- configs --- */

static json_t *config_of(guint disks)
{
    json_t *config = ingot_config_new("amd64", 4096);
    for (guint i = 1; i < disks; i++) {
        ingot_config_add_disk(config, 4096 * (i + 1));
    }
    return config;
}

static json_t *parse(const json_t *config, GError **error)
{
    g_autofree char *text = ingot_json_canonical(config);
    return ingot_config_parse(text, strlen(text), "web", error);
}

static void a_config_has_its_disks(void **state)
{
    (void)state;
    for (guint count = 1; count <= 3; count++) {
        g_autoptr(json_t) config = config_of(count), again = parse(config, NULL);
        g_autoptr(IngotManifest) manifest = manifest_of(count), other = manifest_of(count + 1);
        g_autoptr(GError) error = NULL;
        assert_true(json_equal(config, again));
        assert_int_equal(json_integer_value(json_object_get(again, "version")), count == 1 ? 1 : 2);
        assert_int_equal(ingot_config_disks(again), count);
        for (guint i = 0; i < count; i++) {
            const json_t *disk = ingot_config_disk(again, i);
            assert_int_equal(json_integer_value(json_object_get(disk, "size")), 4096 * (i + 1));
        }
        assert_null(ingot_config_disk(again, count));
        assert_true(ingot_config_fits(again, manifest, "web", NULL));
        assert_false(ingot_config_fits(again, other, "web", &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT));
    }
}

/* What a release that knows one disk says of an image of two is what this one says of a config that is newer. */
static void wrong_configs_are_refused(void **state)
{
    (void)state;
    const struct {
        json_t *disks;
        guint version;
        IngotError code;
    } cases[] = {
        {json_pack("[{s:i}, {s:i}]", "size", 8192, "size", 1), 2, INGOT_ERROR_CORRUPT}, /* not the size of "disk" */
        {json_pack("[{s:i}, {s:s}]", "size", 4096, "size", "1"), 2, INGOT_ERROR_CORRUPT},
        {json_pack("[{s:i}, i]", "size", 4096, 1), 2, INGOT_ERROR_CORRUPT},
        {json_array(), 2, INGOT_ERROR_CORRUPT},
        {json_pack("{s:i}", "size", 4096), 2, INGOT_ERROR_CORRUPT},
        {json_pack("[{s:i}, {s:i}]", "size", 4096, "size", 1), 3, INGOT_ERROR_TOO_NEW},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(json_t) config = config_of(1);
        g_autoptr(GError) error = NULL;
        json_object_set_new(config, "version", json_integer(cases[i].version));
        json_object_set_new(config, "disks", cases[i].disks);
        assert_null(parse(config, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, (gint)cases[i].code));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),           cmocka_unit_test(one_disk_has_the_same_text),
        cmocka_unit_test(disks_that_do_not_fit_are_refused), cmocka_unit_test(too_many_disks_are_refused),
        cmocka_unit_test(further_layers_are_no_disks),       cmocka_unit_test(a_config_has_its_disks),
        cmocka_unit_test(wrong_configs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

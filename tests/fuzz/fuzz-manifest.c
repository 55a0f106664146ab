/* Manifests and configs, as a registry sends them: what is taken has the same meaning once it is written again. */
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

static void assert_same_descriptor(const IngotDescriptor *a, const IngotDescriptor *b)
{
    g_assert(ingot_digest_equal(&a->digest, &b->digest));
    g_assert(a->size == b->size);
}

static void try_manifest(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(IngotManifest) manifest = ingot_manifest_parse(data, size, "input", &error);
    g_assert((manifest == NULL) == (error != NULL));
    if (manifest == NULL) {
        return;
    }
    g_autofree char *text = ingot_manifest_to_text(manifest);
    g_autoptr(IngotManifest) again = ingot_manifest_parse(text, strlen(text), "text", &error);
    g_assert_no_error(error);
    assert_same_descriptor(&manifest->config, &again->config);
    g_assert(manifest->disks->len == again->disks->len);
    for (guint i = 0; i < manifest->disks->len; i++) {
        assert_same_descriptor(&ingot_manifest_disk(manifest, i)->index, &ingot_manifest_disk(again, i)->index);
        assert_same_descriptor(&ingot_manifest_disk(manifest, i)->disk, &ingot_manifest_disk(again, i)->disk);
    }
    g_autofree char *text_again = ingot_manifest_to_text(again);
    g_assert_cmpstr(text, ==, text_again);
}

static void try_config(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) config = ingot_config_parse(data, size, "input", &error);
    g_assert((config == NULL) == (error != NULL));
    if (config == NULL) {
        return;
    }
    for (guint i = 0; i < ingot_config_disks(config); i++) {
        g_assert(json_is_object(ingot_config_disk(config, i)));
    }
    g_autofree char *text = ingot_json_canonical(config);
    g_autoptr(json_t) again = ingot_config_parse(text, strlen(text), "text", &error);
    g_assert_no_error(error);
    g_autofree char *text_again = ingot_json_canonical(again);
    g_assert_cmpstr(text, ==, text_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_manifest(data, size);
    try_config(data, size);
    return 0;
}

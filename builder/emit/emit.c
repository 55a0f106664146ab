#include "emit/emit.h"

#include <string.h>

#include "base/json.h"
#include "evidence/provenance.h"
#include "evidence/testresult.h"
#include "store/attached.h"
#include "trust/bundle.h"
#include "trust/intoto.h"

gboolean emit_statement(IngotStore *store, const IngotDescriptor *manifest, const char *name, const char *type,
                        const json_t *predicate, const TrustKey *key, IngotDescriptor *attached, GError **error)
{
    const char *kind = key == NULL ? STATEMENT_TYPE : TRUST_BUNDLE_TYPE;
    g_autofree char *statement = intoto_write(&manifest->digest, name, type, predicate);
    g_autofree char *bundle = key == NULL ? NULL : trust_bundle_sign(key, statement, error);
    if (key != NULL && bundle == NULL) {
        return FALSE;
    }
    const char *text = key == NULL ? statement : bundle;
    g_autoptr(GBytes) content = g_bytes_new(text, strlen(text));
    g_autoptr(json_t) annotations =
        key == NULL ? ingot_json_pack("{s:s}", STATEMENT_PREDICATE_KEY, type) : trust_bundle_annotations(type);
    return attached_put(store, manifest, kind, kind, annotations, content, attached, error);
}

static gboolean emit_packages(IngotStore *store, const IngotDescriptor *manifest, const char *spdx, GError **error)
{
    return spdx == NULL ||
           ingot_store_attach(store, manifest, INGOT_TYPE_SPDX, INGOT_TYPE_SPDX, spdx, strlen(spdx), error);
}

static gboolean emit_said(IngotStore *store, const IngotDescriptor *manifest, const EmitOptions *options,
                          const char *type, const json_t *predicate, GError **error)
{
    return predicate == NULL || emit_statement(store, manifest, options->name, type, predicate, NULL, NULL, error);
}

static gboolean emit_recipe(IngotStore *store, const IngotDescriptor *manifest, const EmitOptions *options,
                            GError **error)
{
    return options->recipe == NULL || attached_put(store, manifest, options->recipe_type, options->recipe_type,
                                                   options->recipe_annotations, options->recipe, NULL, error);
}

gboolean emit_image(IngotStore *store, const EmitOptions *options, IngotProgress *progress, IngotDescriptor *manifest,
                    GError **error)
{
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(options->disk, options->format, error);
    if (blocks == NULL) {
        return FALSE;
    }
    ingot_progress_begin(progress, ingot_blocks_size(blocks), "pack");
    IngotPackOptions pack_options = {.progress = progress};
    g_autoptr(IngotPacked) packed = ingot_store_pack(store, blocks, &pack_options, error);
    if (packed == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    json_object_update(config, options->config);
    const IngotPackedDisk disk = {{packed->digest, packed->size}, packed->index};
    /* The name comes last: whoever finds the image finds its reports. */
    return ingot_store_add_image(store, NULL, NULL, config, options->annotations, &disk, 1, manifest, error) &&
           emit_packages(store, manifest, options->spdx, error) &&
           emit_said(store, manifest, options, TEST_RESULT_PREDICATE, options->report, error) &&
           emit_said(store, manifest, options, PROVENANCE_PREDICATE, options->provenance, error) &&
           emit_recipe(store, manifest, options, error) &&
           ingot_store_tag(store, options->name, options->tag, manifest, error);
}

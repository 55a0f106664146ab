#include "emit/emit.h"

#include <string.h>

#include "base/json.h"

static gboolean attach(IngotStore *store, const IngotDescriptor *manifest, const char *artifact, const char *type,
                       const char *text, GError **error)
{
    return text == NULL || ingot_store_attach(store, manifest, artifact, type, text, strlen(text), error);
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
    IngotDescriptor disk = {.digest = packed->digest, .size = packed->size};
    /* The name comes last: whoever finds the image finds its reports. */
    return ingot_store_add_image(store, NULL, NULL, config, options->annotations, &disk, packed->index, manifest,
                                 error) &&
           attach(store, manifest, INGOT_TYPE_JUNIT, "application/xml", options->junit, error) &&
           attach(store, manifest, INGOT_TYPE_SPDX, INGOT_TYPE_SPDX, options->spdx, error) &&
           ingot_store_tag(store, options->name, options->tag, manifest, error);
}

#include "emit/emit.h"

#include <ingot/packer.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotStoreFile, ingot_store_discard)

static IngotPacked *pack_disk(IngotStore *store, IngotBlocks *blocks, IngotProgress *progress, GError **error)
{
    g_autoptr(IngotStoreFile) file = ingot_store_create(store, error);
    if (file == NULL) {
        return NULL;
    }
    IngotPackOptions options = {.progress = progress};
    g_autoptr(IngotPacked) packed = ingot_pack(blocks, &options, file->fd, file->path, error);
    if (packed == NULL || !ingot_store_adopt(store, g_steal_pointer(&file), &packed->digest, error)) {
        return NULL;
    }
    return g_steal_pointer(&packed);
}

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
    g_autoptr(IngotPacked) packed = pack_disk(store, blocks, progress, error);
    if (packed == NULL) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    json_object_update(config, options->config);
    IngotDescriptor disk = {.digest = packed->digest, .size = packed->size};
    return ingot_store_add_image(store, options->name, options->tag, config, options->annotations, &disk, packed->index,
                                 manifest, error) &&
           attach(store, manifest, INGOT_TYPE_JUNIT, "application/xml", options->junit, error) &&
           attach(store, manifest, INGOT_TYPE_SPDX, INGOT_TYPE_SPDX, options->spdx, error);
}

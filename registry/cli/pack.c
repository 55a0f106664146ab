#include <ingot/error.h>
#include <ingot/ties.h>
#include <stdlib.h>

#include "cli/common.h"
#include "cli/verbs.h"

static IngotPacked *pack(IngotStore *store, const char *path, const IngotPackOptions *options, GError **error)
{
    const char *format = ingot_blocks_probe(path, error);
    if (format == NULL || !ingot_ties_check(path, path, format, error)) {
        return NULL;
    }
    g_autoptr(IngotBlocks) blocks = ingot_blocks_open(path, format, error);
    if (blocks == NULL) {
        return NULL;
    }
    ingot_progress_begin(options->progress, ingot_blocks_size(blocks), "pack %s", path);
    IngotPacked *packed = ingot_store_pack(store, blocks, options, error);
    if (packed != NULL) {
        g_autofree char *data = g_format_size(packed->data), *stored = g_format_size(packed->size);
        ingot_progress_end(options->progress, "%s of data, %s stored, %u chunks", data, stored,
                           packed->index->chunks->len);
    }
    return packed;
}

static gboolean run(int argc, char **argv, GError **error)
{
    int threads = 0;
    const GOptionEntry entries[] = {
        {"threads", 0, 0, G_OPTION_ARG_INT, &threads, "How many threads compress (one per core)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_pack, entries, 2, 2, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[2], error);
    if (reference == NULL) {
        return FALSE;
    }
    if (reference->host != NULL || reference->tag == NULL || reference->digest != NULL || threads < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: NAME:VERSION of the local store is expected",
                    argv[2]);
        return FALSE;
    }
    IngotPackOptions options = {.threads = (guint)threads, .progress = ingot_command_progress()};
    g_autoptr(IngotStore) store = cli_store(error);
    g_autoptr(IngotPacked) packed = store == NULL ? NULL : pack(store, argv[1], &options, error);
    if (packed == NULL) {
        return FALSE;
    }
    IngotDescriptor disk = {.digest = packed->digest, .size = packed->size}, manifest;
    g_autoptr(json_t) config = ingot_config_new("amd64", packed->index->disk_size);
    if (!ingot_store_add_image(store, reference->name, reference->tag, config, NULL, &disk, packed->index, &manifest,
                               error)) {
        return FALSE;
    }
    cli_print_result(argv[2], &manifest.digest);
    return TRUE;
}

const IngotVerb verb_pack = {"pack", "DISK NAME:VERSION", "make an image from a disk file",
                             "DISK is raw, qcow2, vmdk, vhd, vhdx or vdi; only allocated ranges are read.\n\n"
                             "Example:\n  ingot pack disk.qcow2 team/web:1.0.0\n",
                             run};

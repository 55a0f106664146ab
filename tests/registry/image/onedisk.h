/* The parts of an image of one disk, and its manifest's text. */
#pragma once

#include <ingot/manifest.h>

typedef struct {
    IngotDescriptor config, index, disk;
} OneDisk;

/* annotations may be NULL. Free it. */
static inline char *one_disk_text(const OneDisk *parts, json_t *annotations)
{
    g_autoptr(IngotManifest) manifest = ingot_manifest_new(&parts->config, annotations);
    ingot_manifest_add_disk(manifest, &parts->index, &parts->disk);
    return ingot_manifest_to_text(manifest);
}

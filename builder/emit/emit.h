/* Emit: a sealed disk becomes an image in the store, with its config and what is attached to it. */
#pragma once

#include <ingot/progress.h>
#include <ingot/store.h>

typedef struct {
    const char *disk;   /* path of the sealed disk */
    const char *format; /* "raw", "qcow2", … */
    const char *name, *tag;
    json_t *config;      /* without architecture and disk size, which are added */
    json_t *annotations; /* may be NULL */
    const char *junit;   /* attached; NULL: no tests were run */
    const char *spdx;    /* attached; NULL: no package list */
} EmitOptions;

gboolean emit_image(IngotStore *store, const EmitOptions *options, IngotProgress *progress, IngotDescriptor *manifest,
                    GError **error);

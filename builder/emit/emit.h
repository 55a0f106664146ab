/* Emit: a sealed disk becomes an image in the store, with its config and what is attached to it. */
#pragma once

#include <ingot/progress.h>
#include <ingot/store.h>

#include "trust/key.h"

typedef struct {
    const char *disk;   /* path of the sealed disk */
    const char *format; /* "raw", "qcow2", … */
    const char *name, *tag;
    json_t *config;           /* without architecture and disk size, which are added */
    json_t *annotations;      /* may be NULL */
    const json_t *report;     /* a test result; NULL: no tests were run */
    const json_t *provenance; /* where the image comes from; NULL: nobody says */
    const char *spdx;         /* NULL: no package list */
    GBytes *recipe;           /* a tar of the recipe with its files, of that type; NULL: none */
    const char *recipe_type;
    json_t *recipe_annotations;
} EmitOptions; /* all from report on is attached */

gboolean emit_image(IngotStore *store, const EmitOptions *options, IngotProgress *progress, IngotDescriptor *manifest,
                    GError **error);

/* Attaches a statement about an image of the store: a predicate of that type (evidence/statement.h), signed in a bundle
 * where there is a key. name: of the image. *attached (may be NULL) receives what lists it. */
gboolean emit_statement(IngotStore *store, const IngotDescriptor *manifest, const char *name, const char *type,
                        const json_t *predicate, const TrustKey *key, IngotDescriptor *attached, GError **error);

/* What is attached to an image, as the store keeps it: a manifest, byte for byte as it came, with all that it names,
 * and a row of index.json that has no name but says what it is attached to. By that row, an attachment whose manifest
 * is damaged still goes with its image, and is found when the image is pulled again. */
#pragma once

#include "store/layout.h"

typedef struct {
    IngotDescriptor manifest;
    char *type;      /* the artifact's; NULL: an index, say, has none */
    char *tag;       /* beside the image's, by which a registry knows it (LAYOUT_BESIDE); NULL: its subject says it */
    gboolean before; /* the tag has named it before, and names another one now */
} Attached;

#define ATTACHED_BEFORE_MOST 16u /* lists of signatures that are kept of what a tag has named before */

/* GPtrArray of Attached. */
GPtrArray *attached_list(IngotStore *store, const IngotDigest *subject, GError **error);
/* Whether its types are such as a row of index.json takes; digest: of the manifest, for messages. */
gboolean attached_check(const json_t *root, const char *digest, GError **error);
/* Lists a manifest that is in the store, with all that it names. From then on the row keeps it, for as long as its
 * subject is named or held: the caller's holds of them may end. What the tag named before is not attached any more, but
 * for signatures (.sig) that the new one does not hold: whoever may write the registry's tag takes none away. */
gboolean attached_add(IngotStore *store, const IngotDigest *subject, const char *tag, const IngotDescriptor *manifest,
                      GError **error);
/* Whether a manifest holds all that another one does: each is a list of layers, to which cosign adds. */
gboolean attached_holds(const json_t *one, const json_t *other);
/* ingot_store_attach with annotations of the artifact (may be NULL); *manifest (may be NULL) receives what was
 * attached. */
gboolean attached_put(IngotStore *store, const IngotDescriptor *subject, const char *artifact_type,
                      const char *media_type, json_t *annotations, GBytes *content, IngotDescriptor *manifest,
                      GError **error);
/* Its row, of the manifest's JSON. */
json_t *attached_row(const json_t *root, const IngotDigest *subject, const char *tag, const IngotDescriptor *manifest);
/* Its artifact type, as a list of referrers has it: its own, else its config's. NULL: it has none. */
const char *attached_type(const json_t *root);
/* Its media type, which an old tool may have left out. */
const char *attached_media_type(const json_t *root);

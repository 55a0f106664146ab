/* What older versions of cosign keep about an image: manifests without a subject, by tags beside the image's whose
 * names hold its digest: sha256-HEX.sig (signatures), .att (attestations), .sbom (package lists). */
#pragma once

#include <ingot/remote.h>

#include "base/json.h"

/* ".sig", ".att", ".sbom", NULL. */
extern const char *const cosign_endings[];
char *cosign_tag(const IngotDigest *image, const char *ending); /* free it */
/* What a tag names; *digest is NULL where there is none, which "not found" alone says. FALSE: that can't be told. */
gboolean cosign_find(IngotRemote *remote, const char *name, const char *tag, char **digest, GError **error);
/* The same for whoever only reads: there is none, too, where it is denied, as some registries do of what is not there.
 */
gboolean cosign_look(IngotRemote *remote, const char *name, const char *tag, char **digest, GError **error);

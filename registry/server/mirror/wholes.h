/* Images from an upstream: all of one, what describes it, or what is attached to it. Without an upstream (through NULL)
 * there is nothing to get. */
#pragma once

#include "server/mirror/through.h"

/* A manifest and all the blobs that it needs, which are not waited for. *exact: the manifest's digest (free it), by
 * which whoever looks again asks, as each look for a tag asks the upstream; NULL: it is not here yet. */
FetchOutcome through_image(Through *through, Storage *storage, const char *name, const char *reference, char **exact);
/* Of a version of an image of Ingot's, what tells how it can be had: all but its disk. One that is here already is not
 * looked up. */
FetchOutcome through_description(Through *through, Storage *storage, const char *name, const char *version);
/* What attachments of one kind say: the first layer of each, where their manifests alone are here. At most so many of
 * them, whose manifests have so many bytes together; what is beyond is left. FALSE: some have not come, and may yet.
 * What the upstream lacks is no error. */
gboolean through_contents(Through *through, Storage *storage, const char *name, const IngotDigest *image,
                          const char *kind, guint most, guint64 bytes, GError **error);

/* What the policy (transfer/admit.h) says of what Vagrant downloads from a registry.
 *
 * A box of an image of which it asks something is made here as a whole, or not had at all: nobody has judged the
 * registry's own file. A catalogue is not signed. That of a name of which the policy asks something may name only boxes
 * that are judged, which are boxes of the same name, by the digest of their image. */
#pragma once

#include <glib.h>

typedef enum {
    JUDGED_NOT, /* the policy asks nothing of it, or no registry of Ingot's has such a URL */
    JUDGED_BOX,
    JUDGED_CATALOGUE,
} Judged;

Judged judge_url(const char *url);
/* Of a JUDGED_CATALOGUE that was downloaded to path. REFUSED: it is none, or names other boxes. */
gboolean judge_catalogue(const char *url, const char *path, GError **error);

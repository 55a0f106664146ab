/* What the policy (transfer/admit.h) says of what Vagrant downloads from a registry.
 *
 * A box of an image of which it asks something is made here as a whole, or not had at all: nobody has judged the
 * registry's own file. A catalogue is not signed. That of a name of which the policy asks something may name only boxes
 * that are judged, which are boxes of the same name, by the digest of their image. Such a box is judged by its digest;
 * where the policy speaks of the channel that the catalogue is of, or of a version in it, by HOST/NAME:TAG, their
 * images are judged by that name before, and a version that is refused is taken out. */
#pragma once

#include <glib.h>

typedef enum {
    JUDGED_NOT, /* the policy asks nothing of it, or no registry of Ingot's has such a URL */
    JUDGED_BOX,
    JUDGED_CATALOGUE,
    JUDGED_UNCLEAR, /* the policy asks something of what it may be, which `ingot` would not take by that URL */
} Judged;

Judged judge_url(const char *url);
/* Of a JUDGED_CATALOGUE that was downloaded to path, from which versions may be taken. REFUSED: it is none, names other
 * boxes, or all of its versions are refused. */
gboolean judge_catalogue(const char *url, const char *path, GError **error);

/* Releasing names: what a picture's verdict lets go of is deleted, in batches that each are a change of its own, so
 * that a push never waits long. What has come into use since the picture was taken stays. */
#pragma once

#include "server/storage/garbage.h"
#include "server/storage/picture.h"

/* In a dry run it says and counts what would go. */
gboolean release_names(Collection *collection, const Picture *picture, GError **error);
/* Blobs that no repository has any more, and what was measured of them. */
gboolean release_blobs(Collection *collection, Connection *reader, GError **error);

/* Surveying: each repository in turn is judged by its picture, and what nothing needs is released, or counted. */
#pragma once

#include "server/storage/garbage.h"

/* Names first, then the blobs that no repository has any more. */
gboolean survey_release(Collection *collection, GError **error);
/* For a dry run: says and counts what would go. A set of IngotDigest, the blobs among it; free it. */
GHashTable *survey_gone(Collection *collection, Connection *reader, GError **error);

/* Surveying: each repository in turn is judged by its picture, and what nothing needs is released, or counted. */
#pragma once

#include "server/storage/garbage.h"
#include "server/storage/picture.h"

/* Hears of each repository's picture, judged. */
typedef gboolean (*SurveyFunc)(Picture *picture, gpointer user, GError **error);
gboolean survey_each(Collection *collection, Connection *reader, SurveyFunc function, gpointer user, GError **error);

/* Names first, then the blobs that no repository has any more. */
gboolean survey_release(Collection *collection, GError **error);
/* For a dry run: says and counts what would go. A set of IngotDigest, the blobs among it; free it. */
GHashTable *survey_gone(Collection *collection, Connection *reader, GError **error);

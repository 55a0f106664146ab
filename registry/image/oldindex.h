/* The half of ingot/index.h that only other rooms need: indexes of more chunks than are written now.
 *
 * Older releases wrote up to OLDINDEX_CHUNKS_MAX. Such an index is read where it lies in the local store; one that a
 * peer sends is refused, since it takes 600 MB of memory. */
#pragma once

#include <ingot/index.h>

#define OLDINDEX_CHUNKS_MAX 6000000u
#define OLDINDEX_MAX (242u << 20)  /* bytes of the largest one, if it does not compress */
#define OLDINDEX_HEAD (256u << 10) /* bytes of its blob that hold its header */

/* As ingot_index_parse_for; LIMIT: more chunks than OLDINDEX_CHUNKS_MAX. */
IngotIndex *oldindex_parse(const void *data, gsize size, guint64 blob_size, const char *what, GError **error);

/* Refuses a blob that is larger than INGOT_INDEX_MAX by the beginning of it: LIMIT says how many chunks it has;
 * CORRUPT: it is no index. Always FALSE. */
gboolean oldindex_refuse(const void *head, gsize size, const char *what, GError **error);

/* Pieces that no blob has any more: marked first, deleted later (catalogue/marks.h), in short changes, beside uploads
 * of this process and others. */
#pragma once

#include "server/storage/collect.h"
#include "server/storage/inside.h"

/* Marks what no blob has, and deletes what is marked, for as long as `goes_on` (NULL: to the end) is TRUE. What an
 * upload may count on that is under way stays marked, for a later collection. */
gboolean sweep_pieces(Storage *storage, gboolean (*goes_on)(gpointer user, GError **error), gpointer user,
                      CollectReport *report, GError **error);
/* Counts the pieces that would go if the blobs of `without` (set of IngotDigest; NULL: none) were not there. */
gboolean sweep_count(Connection *connection, GHashTable *without, CollectReport *report, GError **error);

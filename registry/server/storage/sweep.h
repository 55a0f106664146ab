/* Pieces that no blob has any more: marked first, deleted later (catalogue/marks.h), in short changes, beside uploads
 * of this process and others. */
#pragma once

#include "server/storage/collect.h"
#include "server/storage/inside.h"

/* Deletes what is marked, for as long as `goes_on` (NULL: to the end) is TRUE. What an upload that is under way, or a
 * reader of another process, may count on stays marked: report->held, for another time (storage_sweep_is_due). */
gboolean sweep_marked(Storage *storage, gboolean (*goes_on)(gpointer user, GError **error), gpointer user,
                      CollectReport *report, GError **error);
/* Marks what no blob has before. */
gboolean sweep_pieces(Storage *storage, gboolean (*goes_on)(gpointer user, GError **error), gpointer user,
                      CollectReport *report, GError **error);
/* Counts the pieces that would go if the blobs of `without` (set of IngotDigest; NULL: none) were not there. */
gboolean sweep_count(Connection *connection, GHashTable *without, CollectReport *report, GError **error);

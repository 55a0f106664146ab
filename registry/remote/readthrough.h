/* Ranges of a blob out of a registry that ignores Range: the blob comes once, from its start to the last byte that is
 * wanted. The ranges ascend. */
#pragma once

#include <ingot/remote.h>

gboolean read_through(IngotRemote *remote, const char *name, const IngotDigest *digest, const IngotRange *ranges,
                      guint count, IngotRangeFunc got, gpointer user, guint64 *received, GError **error);

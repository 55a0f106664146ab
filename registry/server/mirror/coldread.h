/* Reading a blob while it is copied: from what the copy has brought, from the storage once it is whole, or, where the
 * copy is far from what is wanted, straight from the upstream.
 *
 * Invariant: whoever reads the whole of a blob, from its first byte on, gets its last one only if all that was given
 * out has its digest, wherever that came from: no false blob looks complete. Nobody waits for a copy that has long to
 * go, or has not begun, but where the blob is named by a SHA-512, or the upstream knows no ranges. A range by itself is
 * as right as the upstream. One reader belongs to one answer. */
#pragma once

#include "server/mirror/cold.h"
#include "server/mirror/upstream.h"
#include "server/storage/storage.h"

typedef struct ColdReader ColdReader;

/* name: here; cold becomes the reader's. */
ColdReader *cold_reader_new(Storage *storage, Upstream *upstream, const char *name, const OciDigest *named,
                            guint64 size, Cold *cold);
void cold_reader_free(ColdReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ColdReader, cold_reader_free)
guint64 cold_reader_size(const ColdReader *reader);
/* Up to size bytes from offset; 0: they are about to come; -1: an error. Waits for a few seconds at most. */
gssize cold_reader_read(ColdReader *reader, guint64 offset, void *buffer, gsize size, GError **error);

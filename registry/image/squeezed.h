/* Whether a compressed cluster of a qcow2 is all there.
 *
 * A cluster's table says only how many sectors its bytes lie in, and a writer need not fill the last one. So of a file
 * that ends within that sector the bytes themselves have to say whether they go on: they are raw deflate, or zstd, as
 * QEMU's docs/interop/qcow2.txt has it. */
#pragma once

#include "image/reader.h"

/* size: of a cluster, bytes; end: of the file. FALSE: it goes on behind the end, or is damaged. */
gboolean squeezed_is_whole(const Reader *reader, guint64 offset, guint64 end, gsize size, gboolean zstd);

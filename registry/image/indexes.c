#include "image/indexes.h"

#include <ingot/error.h>

#define MEMORY_MAX ((gsize)256 << 20) /* bytes; an index of INGOT_INDEX_CHUNKS_MAX chunks takes less */

gboolean indexes_fit(GBytes *index, guint64 blob_size, const char *what, gsize *memory, GError **error)
{
    gsize size, takes;
    const void *data = g_bytes_get_data(index, &size);
    if (!ingot_index_check(data, size, blob_size, what, &takes, error)) {
        return FALSE;
    }
    *memory += takes;
    if (*memory > MEMORY_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: its disks have more chunks together than an image may have: pack them as several images",
                    what);
        return FALSE;
    }
    return TRUE;
}

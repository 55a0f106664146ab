/* The indexes of all disks of an image: together they take no more memory than one may. */
#pragma once

#include <ingot/index.h>

/* Whether one more index may be parsed, of a disk blob of that size; *memory, 0 at first, counts what they all take.
 * LIMIT: too much; else as ingot_index_check. */
gboolean indexes_fit(GBytes *index, guint64 blob_size, const char *what, gsize *memory, GError **error);

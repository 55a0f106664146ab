/* Measures: what was worked out of all of an image's bytes. A row whose sum is wrong is not there. */
#pragma once

#include "server/catalogue/database.h"

/* NULL: there is none. Free it. */
GBytes *measure_rows_find(Connection *connection, const IngotDigest *manifest, const char *what);
gboolean measure_rows_put(Connection *connection, const IngotDigest *manifest, const char *what, GBytes *value,
                          GError **error);

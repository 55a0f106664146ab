/* The checksum of a row: XXH3-64 over the values that it depends on, each with its type and length. A query reads a
 * row's sum as a column, and C compares: a row that a flipped bit has changed is as if it were not there.
 *
 * Invariant: the value is the same for values and for columns that hold them, and never changes: old catalogues hold
 * it.
 */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/* types has one letter for each value, as database_query has them: i gint64, t text (NULL: null), d const IngotDigest *
 * (NULL: null), b pointer and gsize. */
gint64 row_sum(const char *types, ...);

/* The sum of `count` columns of a row, from the first one on, each as the type that it has. */
gint64 row_sum_columns(sqlite3_stmt *row, int first, int count);

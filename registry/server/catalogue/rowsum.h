/* The checksum of a row: XXH3-64 over the values that it depends on, each with its type and length. A query reads a
 * row's sum as a column, and C compares: a row that a flipped bit has changed is as if it were not there.
 *
 * Invariant: the value is the same as SQL's row_sum(…) of the same values, and never changes: old catalogues hold it.
 */
#pragma once

#include <glib.h>
#include <sqlite3.h>

/* types has one letter for each value, as database_query has them: i gint64, t text (NULL: null), d const IngotDigest *
 * (NULL: null), b pointer and gsize. */
gint64 row_sum(const char *types, ...);

/* SQL's row_sum(…), for sqlite3_create_function. */
void row_sum_sql(sqlite3_context *context, int count, sqlite3_value **values);

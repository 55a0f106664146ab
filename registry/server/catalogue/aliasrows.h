/* Aliases: SHA-512 digests by which blobs are known too, beside the SHA-256 that names them.
 *
 * Invariant: a row says something true of bytes, for good, whoever has them; which repository has the blob is told by
 * its links alone. A row whose sum is wrong is not there. What mentions a digest mentions the blob's SHA-256 from the
 * moment that the alias is known. */
#pragma once

#include "base/ocidigest.h"
#include "server/catalogue/database.h"

/* The SHA-256 of what has the digest: of a SHA-256 itself, of an unknown SHA-512 its key, which names nothing. */
gboolean alias_rows_resolve(Connection *connection, const OciDigest *named, IngotDigest *digest, GError **error);
/* The SHA-512 of a blob; *found: whether it is known. */
gboolean alias_rows_find(Connection *connection, const IngotDigest *digest, OciDigest *alias, gboolean *found,
                         GError **error);
/* Whether all rows that have it as a SHA-256, or as the key of a SHA-512, are whole. */
gboolean alias_rows_are_whole(Connection *connection, const IngotDigest *digest, gboolean *whole, GError **error);
/* *added: it was not known. */
gboolean alias_rows_add(Connection *connection, const OciDigest *alias, const IngotDigest *digest, gboolean *added,
                        GError **error);
/* Forgets what a blob is known by, which is there no more. */
gboolean alias_rows_drop(Connection *connection, const IngotDigest *digest, GError **error);

/* For queries that join aliases: whether the row's columns `at` and behind (key, sha512, digest, sum) are whole. */
gboolean alias_row_read(sqlite3_stmt *row, int at, OciDigest *alias, IngotDigest *digest);

/* Each alias of a blob that some repository has, where its row is whole. */
typedef void (*AliasFunc)(const OciDigest *alias, const IngotDigest *digest, gpointer user);
gboolean alias_rows_each(Connection *connection, AliasFunc func, gpointer user, GError **error);

/* Manifests of repositories: their media types, what each is attached to (its subject), and what each mentions.
 *
 * A mention is a digest, not a row: what is mentioned may come later, and is then needed. A manifest whose sum is wrong
 * is not there. */
#pragma once

#include "base/ocidigest.h"
#include "server/catalogue/database.h"

/* Keeps a blob of the repository as a manifest; *changed: it was not there, or otherwise. artifact: '' for none, NULL
 * where it is not known, which leaves what is known. */
gboolean manifest_rows_put(Connection *connection, gint64 repository, gint64 blob, const char *type,
                           const IngotDigest *subject, const char *artifact, gint64 made, gboolean *changed,
                           GError **error);
/* *type is the media type of a manifest (free it), NULL where there is none. */
gboolean manifest_rows_type(Connection *connection, const char *name, const IngotDigest *digest, char **type,
                            GError **error);
/* Whether the repository has any manifest. */
gboolean manifest_rows_any(Connection *connection, const char *name, gboolean *any, GError **error);
/* Whether the repository has the blob as a manifest. */
gboolean manifest_rows_has(Connection *connection, gint64 repository, gint64 blob, gboolean *has, GError **error);
/* Drops it with what it mentions. */
gboolean manifest_rows_drop(Connection *connection, gint64 repository, gint64 blob, GError **error);

gboolean manifest_rows_mention(Connection *connection, gint64 repository, gint64 manifest, const IngotDigest *digest,
                               GError **error);

/* --- what is attached to a subject, by whichever digest the manifests name it --- */

typedef struct {
    IngotDigest digest;
    const char *type, *artifact; /* media type; kind of artifact, "" for none */
    guint64 size;                /* bytes of the manifest */
    const OciDigest *alias;      /* its SHA-512; NULL: it is not known */
} ReferrerRow;
typedef void (*ReferrerRowFunc)(const ReferrerRow *row, gpointer user);
/* At most `most` of them, in the order of their digests, those behind `after` (NULL: from the first) and of that kind
 * (NULL: any) alone. Those whose kind is not known are not among them. */
gboolean manifest_rows_referrers(Connection *connection, const char *name, const IngotDigest *subject,
                                 const char *artifact, const IngotDigest *after, guint most, ReferrerRowFunc func,
                                 gpointer user, GError **error);
/* CORRUPT: the row of one is damaged, or its kind is not known, so that the lists above may lack it. */
gboolean manifest_rows_check_referrers(Connection *connection, const char *name, const IngotDigest *subject,
                                       GError **error);
/* GArray of IngotDigest: those whose kind is not known yet. */
GArray *manifest_rows_unsorted(Connection *connection, const char *name, const IngotDigest *subject, GError **error);
/* Notes its kind. */
gboolean manifest_rows_sort(Connection *connection, const char *name, const IngotDigest *digest, const char *artifact,
                            GError **error);

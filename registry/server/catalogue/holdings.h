/* Holdings: what each repository has and why, as a collection of garbage judges it, and which blobs no repository has.
 *
 * The lists are of one repository, to be judged in memory: on a reader they hold up nobody. Whatever is then deleted is
 * asked for once more by the writer. A row whose sum is wrong is CORRUPT here: what it said is not known, so nothing of
 * its repository can be called garbage. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    gint64 id;
    char *name;
} HoldingRepository;
/* GArray of HoldingRepository: all that have a blob or a history; free it. */
GArray *holdings_repositories(Connection *connection, GError **error);

typedef struct {
    char *name;
    IngotDigest digest;
    gint64 made; /* when it was pushed */
} HoldingTag;
GArray *holdings_tags(Connection *connection, gint64 repository, GError **error);

typedef struct {
    gint64 blob;
    IngotDigest digest;
    gint64 made;       /* when it was pushed last */
    gboolean manifest; /* it is one, attached to the subject where it has one */
    gboolean attached;
    IngotDigest subject; /* SHA-256; the key of a SHA-512 that is not known here */
} HoldingLink;
GArray *holdings_links(Connection *connection, gint64 repository, GError **error);

typedef struct {
    IngotDigest manifest, digest;
} HoldingMention;
/* What the repository's manifests mention. */
GArray *holdings_mentions(Connection *connection, gint64 repository, GError **error);

typedef struct {
    char *tag;
    IngotDigest digest;
    gint64 until; /* when the tag named it last */
} HoldingPast;
GArray *holdings_history(Connection *connection, gint64 repository, GError **error);

/* --- once more, before something is deleted --- */

/* Whether the repository still has the blob, pushed when `made` says. */
gboolean holdings_is_same(Connection *connection, gint64 repository, const HoldingLink *link, gboolean *same,
                          GError **error);
/* How many tags name the manifest; where the tag is given, whether that one does. */
gboolean holdings_names(Connection *connection, gint64 repository, gint64 blob, const char *tag, gint64 *count,
                        GError **error);
/* GArray of IngotDigest: the manifests of the repository that mention the digest. */
GArray *holdings_mentioners(Connection *connection, gint64 repository, const IngotDigest *digest, GError **error);
/* Deletes the history that names manifests which the repository has no more, until `before`; *count: how many rows. */
gboolean holdings_forget(Connection *connection, gint64 repository, gint64 before, gint64 *count, GError **error);

/* The names (GStrv) of the repository's tags whose history is longer than `most`. */
char **holdings_long_histories(Connection *connection, gint64 repository, guint most, GError **error);
/* Deletes the oldest of a tag's history, so that about `most` stay: those of one second stay together. */
gboolean holdings_trim(Connection *connection, gint64 repository, const char *tag, guint most, GError **error);

/* --- blobs of no repository --- */

/* GArray of IngotDigest: blobs that no repository has and no manifest mentions. */
GArray *holdings_loose(Connection *connection, GError **error);
/* Deletes it if that is still so. */
gboolean holdings_drop_blob(Connection *connection, const IngotDigest *digest, gboolean *dropped, GError **error);
/* How many repositories have the blob. */
gboolean holdings_holders(Connection *connection, const IngotDigest *digest, gint64 *count, GError **error);
/* GArray of IngotDigest: what measures are of that is not there any more. */
GArray *holdings_measured(Connection *connection, GError **error);
gboolean holdings_drop_measures(Connection *connection, const IngotDigest *digest, GError **error);

/* Tags: which manifest of its repository each names, and which ones it named before. A row whose sum is wrong is not
 * there. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    gboolean found;     /* there is such a tag; else the rest is empty */
    gboolean pushed;    /* a push set it last, not an upstream */
    gboolean is_sha512; /* it was put with the SHA-512 of what it names */
    IngotDigest digest; /* of what it names */
} Tag;
gboolean tags_find(Connection *connection, const char *name, const char *tag, Tag *row, GError **error);
/* The repository's tags, sorted; free with g_strfreev. */
char **tags_list(Connection *connection, const char *name, GError **error);
/* The tags that name the manifest. */
char **tags_naming(Connection *connection, gint64 repository, gint64 blob, GError **error);
/* The tags whose manifest is this blob, or needs it by whatever it mentions. */
char **tags_needing(Connection *connection, gint64 repository, const IngotDigest *digest, GError **error);

/* Points the tag at a manifest; what it named before becomes history. cached: it follows an upstream.
 * is_sha512: it was put with the manifest's SHA-512. */
gboolean tags_set(Connection *connection, gint64 repository, const char *tag, gint64 blob, gboolean cached,
                  gboolean is_sha512, gint64 now, GError **error);
/* Drops the tag, where there is one (*found); what it named becomes history. */
gboolean tags_drop(Connection *connection, gint64 repository, const char *tag, gint64 now, gboolean *found,
                   GError **error);

typedef struct {
    const char *tag;
    IngotDigest digest; /* of the manifest that it names */
    gint64 made;        /* when it was set */
    guint64 size;       /* bytes of the manifest */
    const char *type;   /* its media type */
} TagRow;
typedef void (*TagRowFunc)(const TagRow *row, gpointer user);
/* At most `most` tags behind `after` (NULL: from the first); letter case decides only between what is else the same. */
gboolean tags_page(Connection *connection, const char *name, const char *after, guint most, TagRowFunc func,
                   gpointer user, GError **error);

/* The tag named it before, until then. */
gboolean tags_add_past(Connection *writer, gint64 repository, const char *tag, const IngotDigest *digest, gint64 until,
                       GError **error);
/* Adds the digests that a tag named before (IngotDigest, of g_malloc) to a set. */
gboolean tags_history(Connection *connection, const char *name, const char *tag, GHashTable *digests, GError **error);

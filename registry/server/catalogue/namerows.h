/* All that the catalogue has of a repository's names, row by row: what a picture of the names is made of. A damaged row
 * is CORRUPT: nobody knows what it said. */
#pragma once

#include "server/catalogue/database.h"

typedef struct {
    IngotDigest digest;
    gint64 made;       /* when it was pushed last */
    const char *type;  /* of the manifest that it is; NULL: it is none */
    gboolean attached; /* to the subject that its bytes name */
    gboolean cached;
} NameLink;
typedef gboolean (*NameLinkFunc)(const NameLink *link, gpointer user, GError **error);
gboolean namerows_links(Connection *connection, gint64 repository, NameLinkFunc func, gpointer user, GError **error);

typedef struct {
    const char *tag;
    IngotDigest digest;
    gint64 made;
    gboolean cached;
    gboolean is_sha512; /* it was put with the manifest's SHA-512 */
} NameTag;
typedef gboolean (*NameTagFunc)(const NameTag *tag, gpointer user, GError **error);
gboolean namerows_tags(Connection *connection, gint64 repository, NameTagFunc func, gpointer user, GError **error);

/* Collecting garbage while others push and pull.
 *
 * Deleting only marks: a tag, a manifest or a blob of a repository is a row that goes. A collection first lets go of
 * what no policy keeps (retention.c), of blobs that no manifest of their repository has needed for a while, and of
 * those that no repository has; then it marks the pieces of all that are left, deletes the others, and writes packs
 * that are mostly dead anew. What an upload counts on, or what came into use since the marking began, is never
 * collected. */
#pragma once

#include "server/storage/storage.h"

/* Of the repositories that match the pattern (* is any run of characters), keep the newest versions and what a channel
 * names or named within so many seconds. Only versions go by a policy; the first that matches counts. */
typedef struct {
    char *pattern;
    guint versions;
    guint64 seconds;
} Keep;
/* "PATTERN=VERSIONS[,AGE]", as in "web=10,30d"; INVALID. keeps: GArray of Keep, made by keeps_new. */
GArray *keeps_new(void);
gboolean keeps_add(GArray *keeps, const char *text, GError **error);

typedef struct {
    const GArray *keeps; /* NULL: no policy */
    guint64 grace;       /* seconds for which a blob that no manifest needs stays: a push may be on its way */
    gboolean dry_run;    /* says what would go, changes nothing */
    void (*tell)(const char *line, gpointer user); /* of each thing that goes; NULL: nobody listens */
    gpointer user;
} CollectOptions;

typedef struct {
    guint64 tags, manifests;      /* by policy */
    guint64 links;                /* blobs that a repository had and needed no more */
    guint64 blobs, pieces, bytes; /* that nobody needs: bytes are the pieces' */
    guint64 packs;                /* files removed, or written anew without what was dead */
    guint64 freed;                /* bytes by which the files shrank */
} CollectReport;

/* EXISTS where a collection runs already. */
gboolean storage_collect(Storage *storage, const CollectOptions *options, CollectReport *report, GError **error);

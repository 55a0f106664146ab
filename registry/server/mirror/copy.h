/* Copying from another registry: manifests with what they need and what is attached to them.
 *
 * Nothing is taken from repositories here but from the one that is copied to, and what the other registry gave itself
 * (Copy.fetched): it may name the digest of a blob that is private here, which would become readable.
 *
 * Of a blob whose frames the other registry tells, only those that are not here cross the network. A copy counts like a
 * push: it is whole, has its digest and is on the disk before it can be seen. One Copy belongs to one thread. Names
 * here may have a prefix that they don't have there.
 *
 * A channel that a pipeline of here guards stays what it was promoted to: what the other registry's names comes, and is
 * to be promoted here. Nor does a channel come to name by a mirror what is withheld here. What is kept from a channel
 * so counts as pulled each time that it is found there. */
#pragma once

#include <ingot/remote.h>

#include "server/mirror/cold.h"
#include "server/storage/storage.h"

typedef struct {
    Storage *storage;
    IngotRemote *remote;
    gsize skip;          /* bytes at the start of a name here that it does not have there */
    GHashTable *fetched; /* IngotDigest (key of what it is named by) -> name of the repository here that it was fetched
                            to; NULL: not noted */
    Cold *cold;          /* hears of the bytes of a blob as they come; NULL: nobody does */
    guint64 manifests, blobs; /* copied so far */
    guint64 received;         /* bytes of blobs that came over the network */
    guint64 left;             /* attachments that could not be copied; tell (may be NULL) hears of each */
    guint64 lost;             /* of those, what no further try brings */
    guint64 kept;             /* channels that name something else here than there, and stay; tell hears of each image
                                 once that one is kept from */
    gboolean given;           /* FALSE: the other registry was asked for a manifest last, and it did not come */
    void (*tell)(const char *line, gpointer user);
    gpointer user;
    /* Asked while bytes of a blob come; FALSE: it is not wanted any more. NULL: it is. */
    gboolean (*goes_on)(gpointer user, GError **error);
    gpointer goes_on_user;
} Copy;

extern const StorageActor copy_actor; /* who changes names here */
/* What the other registry calls the repository. */
const char *copy_there(const Copy *copy, const char *name);
/* The other registry is asked for it as it is named. */
void copy_call(const Copy *copy, const OciDigest *named);
/* A blob of `size` bytes; one that is here already is only made visible in the repository. */
gboolean copy_blob(Copy *copy, const char *name, const OciDigest *named, guint64 size, GError **error);
/* A set for Copy.fetched; unref it. */
GHashTable *copy_fetched_new(void);
/* A manifest by tag or digest, with all that it needs, or (partial) by itself. tag (may be NULL) names it here then,
 * unless it is a channel that stays. *changed: it was not here as that. */
gboolean copy_manifest(Copy *copy, const char *name, const char *reference, const char *tag, gboolean partial,
                       gboolean *changed, GError **error);
/* What is attached to it, and to that. */
gboolean copy_referrers(Copy *copy, const char *name, const OciDigest *subject, gboolean partial, GError **error);

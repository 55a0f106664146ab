/* Whole images between the store and a registry. */
#pragma once

#include <ingot/progress.h>
#include <ingot/remote.h>
#include <ingot/store.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

/* How an image is pushed, and how it is pulled; NULL in the place of either is all zero. A member that a later version
 * adds takes the place of a reserved one, so initialize them as a whole. */
typedef struct {
    IngotProgress *progress;          /* may be NULL */
    const IngotRemoteOptions *remote; /* how the registry is asked; NULL: as options.h says of zeros */
    gpointer reserved[8];             /* NULL */
} IngotPushOptions;
typedef struct {
    IngotProgress *progress;          /* may be NULL */
    const IngotRemoteOptions *remote; /* likewise */
    gpointer reserved[8];             /* NULL */
} IngotPullOptions;

/* Pushes an image of the store with its attachments; blobs that are there already are not sent. *manifest: what was
 * pushed. An attachment that can't be sent, since it is damaged, say, or refused, keeps nothing else from being pushed;
 * in the end it is an error. */
gboolean ingot_transfer_push(IngotStore *store, const IngotReference *image, const IngotReference *destination,
                             const IngotPushOptions *options, IngotDescriptor *manifest, GError **error);

/* A reference with neither tag nor digest gets the tag that it stands for in its registry: the highest version. */
gboolean ingot_transfer_choose_tag(IngotRemote *remote, IngotReference *reference, GError **error);
/* What a reference names in its registry, its tag chosen like that: the manifest's bytes, whatever it is of.
 * NOT_FOUND lists the tags that there are. */
GBytes *ingot_transfer_manifest(IngotRemote *remote, IngotReference *reference, IngotDescriptor *out, char **media_type,
                                GError **error);

/* The same of an image: where the reference names an OCI index (or docker's list of manifests), of the one in it for
 * linux and the architecture that the remote's options ask for. NOT_FOUND lists what an index without one has. */
GBytes *ingot_transfer_image_manifest(IngotRemote *remote, IngotReference *reference, IngotDescriptor *out,
                                      GError **error);

/* Pulls an image: chunks that any image of the store has (same digest, encoder and frame length) are copied from there,
 * the rest is fetched by ranges; every chunk is checked before it counts. A pull that was killed goes on where it was.
 * Named in the store as HOST/NAME:TAG; a missing tag is chosen as above, and set. What is asked for by its digest is
 * named by that alone, and no tag moves. Where what is attached can't be had, progress says so, and the image is pulled
 * all the same. *received (may be NULL): bytes that came over the network. REFUSED, before any of the disk is fetched:
 * the policy does not allow it (options.h). */
gboolean ingot_transfer_pull(IngotStore *store, IngotReference *reference, const IngotPullOptions *options,
                             IngotDescriptor *manifest, guint64 *received, GError **error);

/* When the registry of a reference's host is asked for what the reference names. */
typedef enum {
    INGOT_PULL_MISSING, /* where the store has no image of that name */
    INGOT_PULL_ALWAYS,  /* each time: a channel may have moved */
    INGOT_PULL_NEVER,   /* the store has it, or nobody */
} IngotPull;
/* The image that the reference names, open for reading: the store's, or pulled into it first. REFUSED: its registry has
 * revoked or disabled it, now or when it was asked last (options.h: allow_revoked), or the policy does not allow it. */
IngotImage *ingot_transfer_image(IngotStore *store, IngotReference *reference, IngotPull pull,
                                 const IngotPullOptions *options, GError **error);

#pragma GCC visibility pop
G_END_DECLS

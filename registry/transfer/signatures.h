/* The signatures of an image, as the store or a registry has them attached: Sigstore bundles by referrers, and cosign's
 * older ones by the tag .sig. What can't be read is listed with why. */
#pragma once

#include <ingot/remote.h>
#include <ingot/store.h>

#include "trust/bundle.h"

typedef struct {
    char *manifest;  /* the digest of the manifest that holds it; NULL: of several, of which problem tells */
    GBytes *bytes;   /* the bundle, or the payload of an older one; NULL: it can't be read */
    char *older;     /* an older one's signature, in base64; NULL: it is a bundle */
    GError *problem; /* why it can't be read; NULL: it can */
    gboolean unread; /* the problem is not its own: it might count, if it could be had */
} Signature;

/* GPtrArray of Signature: SIGNATURES_MOST at most, of SIGNATURES_BYTES in all. What is not looked at for that, or since
 * the network has failed, or was left behind by a pull, is one more that is unread. INTERRUPTED ends it. */
#define SIGNATURES_MOST 1024u
#define SIGNATURES_BYTES (64u << 20)
GPtrArray *signatures_of_store(IngotStore *store, const IngotDigest *image, GError **error);
GPtrArray *signatures_of_registry(IngotRemote *remote, const char *name, const IngotDigest *image, GError **error);
/* Why nobody can tell that none of them counts: the first one that is unread has this problem. NULL: all were read. */
const GError *signatures_unread(const GPtrArray *signatures);

/* Whether it counts for the image by one of the signers (trust_bundle_verify; an older one by a key alone), and says
 * what is asked for: a statement of that predicate type, or, where type is NULL, "this image", which an older one and a
 * signature of the manifest say too. One that can't be read has its problem for an error. */
gboolean signature_counts(const Signature *signature, const TrustSigners *signers, const IngotDigest *image,
                          const char *type, TrustResult *result, GError **error);

/* A bundle that is to be attached, with the manifest that does it as cosign 3 writes it: the same wherever it is put.
 */
typedef struct {
    IngotDescriptor image;
    char *bundle, *manifest; /* their texts */
    IngotDigest digest;      /* the manifest's */
} NewSignature;
/* Takes the bundle; type: its statement's predicate type. Clear it. */
void new_signature_init(NewSignature *signature, const IngotDescriptor *image, char *bundle, const char *type);
void new_signature_clear(NewSignature *signature);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NewSignature, new_signature_clear)

/* Attaches it to its image. */
gboolean signature_put_store(IngotStore *store, const NewSignature *signature, GError **error);
gboolean signature_put_registry(IngotRemote *remote, const char *name, const NewSignature *signature, GError **error);

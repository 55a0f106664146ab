/* Sigstore bundles, version 0.3 (sigstore/protobuf-specs, sigstore_bundle.proto, in protobuf's JSON): one DSSE envelope
 * that holds an in-toto statement about an image's digest, or one signature of the image's manifest.
 *
 * A bundle counts for an image only where all of this holds: it is of version 0.3; one of the caller's keys, never one
 * that the bundle brings along, has signed it (ECDSA P-256, SHA-256, DER), or a certificate for one of the caller's
 * identities, by the caller's trusted root (keyless.h); and what was signed is about that image's digest. Where a key
 * has signed it, the key alone decides: entries of a transparency log and time stamps are not looked at. */
#pragma once

#include <ingot/digest.h>
#include <jansson.h>

#include "trust/keyless.h"

#define TRUST_BUNDLE_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define TRUST_BUNDLE_MAX (4u << 20) /* bytes */
#define TRUST_CONTENT_KEY "dev.sigstore.bundle.content"
#define TRUST_CONTENT_DSSE "dsse-envelope"
#define TRUST_PREDICATE_KEY "dev.sigstore.bundle.predicateType"
#define TRUST_SIGNED_PREDICATE "https://sigstore.dev/cosign/sign/v1" /* "this image", as cosign 3 says it */

/* Whose signatures count. */
typedef struct {
    TrustKey *const *keys;
    guint count;
    TrustedIdentities identities; /* without a root none does */
} TrustSigners;

typedef struct {
    guint key;                     /* which of the keys signed it, if no identity did */
    const TrustIdentity *identity; /* the caller's that signed it; NULL: a key did */
    GBytes *statement;             /* the in-toto statement's bytes; NULL: the signature is of the manifest itself */
    char *predicate_type;          /* the statement's */
    char *name;                    /* what the statement calls the image; NULL: nothing */
} TrustResult;
void trust_result_clear(TrustResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(TrustResult, trust_result_clear)

/* Whether the bundle counts for the image (its manifest's digest). On success *result (clear it) is filled; on failure
 * it is empty. CORRUPT: it is not such a bundle; DENIED: it is, but doesn't count: none of them has signed it, it
 * is about another image, or it is signed in a way that is not known here. The error says which. Thread safe. */
gboolean trust_bundle_verify(const void *bundle, gsize size, const TrustSigners *signers, const IngotDigest *image,
                             TrustResult *result, GError **error);

/* A bundle with an in-toto statement (intoto.h), signed by a private key. Free it. */
char *trust_bundle_sign(const TrustKey *key, const char *statement, GError **error);
/* Annotations of the manifest that attaches it, as cosign writes them (BUNDLE_SPEC.md, "Annotations"), with now as its
 * date. type: the statement's predicate type. */
json_t *trust_bundle_annotations(const char *type);

/* Signatures of older versions of cosign ("simple signing", cosign's SIGNATURE_SPEC.md): a JSON payload that names the
 * manifest's digest, and its ECDSA signature in base64 beside it. They are read, not written. */
#pragma once

#include "trust/bundle.h"

#define SIMPLE_PAYLOAD_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define SIMPLE_SIGNATURE_KEY "dev.cosignproject.cosign/signature"
#define SIMPLE_PAYLOAD_MAX 65536u /* bytes */

/* As trust_bundle_verify; on success result->name is the payload's docker-reference, and there is no statement. */
gboolean simple_verify(GBytes *payload, const char *signature, TrustKey *const *keys, guint count,
                       const IngotDigest *image, TrustResult *result, GError **error);

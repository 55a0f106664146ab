/* A trusted root (sigstore/protobuf-specs, sigstore_trustroot.proto, in protobuf's JSON): whom one takes the word of,
 * where signatures are by certificates for identities: who issues certificates, which logs note that it was done, and
 * who says what time it was. Nothing else is needed to verify such a signature, no network either. */
#pragma once

#include "trust/authority.h"
#include "trust/key.h"

#define TRUSTED_ROOT_MAX (1u << 20) /* bytes of a file */

/* A log that is append-only: of signatures, or of certificates. */
typedef struct {
    GBytes *id;
    TrustKey *key;     /* ECDSA on P-256; NULL: it is of another kind */
    EVP_PKEY *edwards; /* Ed25519, which newer logs have; NULL: it is of another kind. What a log of neither kind says
                          counts for nothing */
    TrustWindow valid;
} TrustLog;
/* Whether the log has signed that text. */
gboolean trust_log_verify(const TrustLog *log, const void *text, gsize size, const void *signature, gsize length);

typedef struct {
    GPtrArray *authorities; /* of TrustAuthority: those that issue certificates */
    GPtrArray *stampers;    /* of TrustAuthority: those that tell the time (RFC 3161) */
    GPtrArray *logs;        /* of TrustLog: of signatures (Rekor) */
    GPtrArray *cert_logs;   /* of TrustLog: of certificates (RFC 6962) */
} TrustedRoot;
/* what: the file, for errors. INVALID: it is not a trusted root. Members that are not known are passed over. A trusted
 * root is read only once it is made, so that threads may share it. */
TrustedRoot *trusted_root_parse(const void *text, gsize size, const char *what, GError **error);
TrustedRoot *trusted_root_read(const char *path, GError **error);
void trusted_root_free(TrustedRoot *root);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrustedRoot, trusted_root_free)

/* The log of that number, or NULL. */
const TrustLog *trusted_root_log(const GPtrArray *logs, const void *id, gsize size);

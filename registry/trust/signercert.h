/* The certificate of a signer: it binds a key, for some minutes, to an identity (an e-mail address, or the URI of a
 * workflow) that somebody (the issuer) has vouched for. Fulcio's are such. */
#pragma once

#include "trust/trustedroot.h"

typedef struct {
    const char *identity; /* an e-mail address or URI of the certificate's subjectAltName, word for word */
    const char *issuer;   /* who has vouched for it: a URL, as in Fulcio's extension */
} TrustIdentity;

/* Its key. CORRUPT: of another kind than ECDSA on P-256. */
TrustKey *signercert_key(X509 *certificate, GError **error);
/* Whether it was good for signing at that time: an authority of the trusted root has issued it (for code signing), and
 * a certificate log has promised to list it. DENIED says why it was not. */
gboolean signercert_verify(X509 *certificate, const TrustedRoot *root, gint64 time, GError **error);
/* Which of the identities it is for. NULL: DENIED says for whom it is. */
const TrustIdentity *signercert_identity(X509 *certificate, const TrustIdentity *identities, guint count,
                                         GError **error);

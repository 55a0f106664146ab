/* Signed certificate timestamps (RFC 6962) that lie in a certificate: the word of a log of certificates that it lists
 * this one, so that whoever owns the identity can see it there. */
#pragma once

#include "trust/trustedroot.h"

/* Whether a log of the trusted root has promised to list it. Without any log in the trusted root nothing is asked for.
 * DENIED: none has. */
gboolean certlog_verify(X509 *certificate, X509 *issuer, const TrustedRoot *root, GError **error);

/* Signatures by an identity, with a key that was thrown away: by the trusted root alone, without a network.
 *
 * One counts where the certificate's key has signed; the certificate was good at every time that is proved, and one
 * is: by a log's promise, or by a time stamp; a log of the trusted root has noted the signature, if that has any; and
 * the certificate is for one of the identities. What time it is now does not matter. */
#pragma once

#include "trust/logentry.h"
#include "trust/signercert.h"

/* Whose certificates count. */
typedef struct {
    const TrustedRoot *root;
    const TrustIdentity *identities;
    guint count;
} TrustedIdentities;

/* The identity whose signature it is; material: the bundle's verificationMaterial; the fact's certificate is filled in
 * from it. NULL: CORRUPT or DENIED says why it does not count. */
const TrustIdentity *keyless_verify(const json_t *material, SignedFact *fact, const TrustedIdentities *trusted,
                                    GError **error);

/* An entry of a transparency log (Rekor) that comes with a signature: the log's word that it has noted this
 * very signature, for whoever owns the identity to see.
 *
 * The promise (signed entry timestamp) proves that, and the time; the inclusion proof with its checkpoint proves that,
 * but not the time, which is not part of what the log's tree is made of. Whichever the entry has must be right. */
#pragma once

#include "trust/trustedroot.h"

/* What an entry has to be about. */
typedef struct {
    IngotDigest digest; /* SHA-256 of what was signed */
    GBytes *payload;    /* of the envelope that was signed; NULL: it was none */
    GBytes *signature;
    X509 *certificate;
} SignedFact;

/* *log: the one that has it, of the trusted root; *time: when it was noted, or 0 where that is not proved. CORRUPT: it
 * is not an entry; DENIED: it proves nothing, or of another signature. */
gboolean logentry_verify(const json_t *entry, const SignedFact *fact, const TrustedRoot *root, const TrustLog **log,
                         gint64 *time, GError **error);

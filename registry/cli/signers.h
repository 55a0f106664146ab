/* Who has signed an image, by the keys and identities that count: for the verbs that verify. */
#pragma once

#include <ingot/reference.h>

#include "base/json.h"
#include "transfer/signatures.h"

/* An image where it was found, and its signatures there. */
typedef struct {
    char *reference;
    const char *place; /* "the store" */
    gboolean asked;    /* its registry is, or there is none */
    IngotDigest image;
    GPtrArray *signatures; /* of Signature */
} Signers;
void signers_clear(Signers *signers);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Signers, signers_clear)

/* Of the reference's registry. allow: of an image that is revoked or disabled, too. */
gboolean signers_of_registry(IngotReference *reference, gboolean allow, Signers *signers, GError **error);
/* A row for each signature: "signature", "kind", "counts", "read", with "key" or "identity" and "issuer", "type",
 * "name", or "why". *verified: one counts, of that predicate type (NULL: "this image"), by one of those who are
 * trusted. */
json_t *signers_judge(const Signers *signers, const TrustSigners *trusted, const char *type, gboolean *verified);
/* Prints the rows for people. */
void signers_print(const json_t *rows);
/* Sets the error of an image of which none counts: REFUSED, unless one was not read: that may be mended. */
void signers_refuse(const Signers *signers, GError **error);

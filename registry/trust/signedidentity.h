/* "signedIdentity" of containers-policy.json(5): what a signature has to call an image, for it to count for the name by
 * which the image is asked for. Without it, whoever holds a registry could give one signed image for another. */
#pragma once

#include <ingot/reference.h>
#include <jansson.h>

typedef enum {
    IDENTITY_TAG_OR_REPOSITORY, /* matchRepoDigestOrExact: its tag, or, of what is asked for by digest, any */
    IDENTITY_EXACT,             /* matchExact */
    IDENTITY_REPOSITORY,        /* matchRepository: any tag of it */
    IDENTITY_OTHER_EXACT,       /* exactReference: another name, whatever is asked for */
    IDENTITY_OTHER_REPOSITORY,  /* exactRepository */
    IDENTITY_REMAPPED,          /* remapIdentity: the name with another beginning */
} SignedIdentityKind;

typedef struct {
    SignedIdentityKind kind;
    IngotReference *other;        /* of the two others */
    char *prefix, *signed_prefix; /* of what is remapped */
} SignedIdentity;
void signed_identity_clear(SignedIdentity *identity);

/* value NULL: matchRepoDigestOrExact. INVALID: an unknown type or member; where names it. The identity is to be cleared
 * in any case. */
gboolean signed_identity_parse(const json_t *value, const char *where, SignedIdentity *identity, GError **error);
/* Whether a signature that calls the image so (NULL: it gives no name) counts for what is asked for. DENIED says why it
 * does not. */
gboolean signed_identity_fits(const SignedIdentity *identity, const IngotReference *asked, const char *signed_name,
                              GError **error);

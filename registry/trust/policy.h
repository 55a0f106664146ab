/* Policies: which images may be used, by name, and which keys must have signed them. A file as
 * containers-policy.json(5) of containers/image, so that one file serves all tools of a machine.
 *
 * It is read strictly: an unknown member or type fails the whole file, since it may have been meant to restrict
 * something. What is known, but can't be checked here (GPG, certificates, transparency logs), is a demand that no image
 * meets, and only where it applies: a machine's file may say more of other images.
 *
 * The most specific scope decides alone: of "transports", "docker" for a name with a registry's host, by
 * HOST/NAME:TAG or HOST/NAME@DIGEST, HOST/NAME, each shorter beginning of that, HOST[:PORT], *.DOMAIN, and ""; then
 * "default". A name without a host is of an image that was made here: only "containers-storage" speaks of it, by the
 * same scopes without the host, and without that it is accepted. */
#pragma once

#include <ingot/reference.h>

#include "trust/signedidentity.h"

#define POLICY_MAX (1u << 20) /* bytes of a file */

typedef struct Policy Policy;
/* path: the file, for errors, and for the paths in it, which may be relative to its folder. INVALID: it is not one. */
Policy *policy_parse(const void *text, gsize size, const char *path, GError **error);
Policy *policy_read(const char *path, GError **error);
void policy_free(Policy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Policy, policy_free)

typedef enum {
    DEMAND_NOTHING,   /* insecureAcceptAnything */
    DEMAND_REJECT,    /* no image is accepted */
    DEMAND_SIGNATURE, /* sigstoreSigned, by one of the keys */
    DEMAND_BEYOND,    /* what can't be checked here, so that no image meets it */
} DemandKind;

typedef struct {
    DemandKind kind;
    const char *why;      /* DEMAND_BEYOND: what is not checked */
    GPtrArray *key_files; /* absolute paths, or as relative as the policy's own */
    GPtrArray *key_texts; /* GBytes: PEM */
    SignedIdentity identity;
} Demand;

/* What it asks of an image of that name (which has a tag or a digest): GPtrArray of Demand, all of which must be met.
 * It belongs to the policy; NULL: it says nothing of it. *scope (free it): where the file says so. */
const GPtrArray *policy_find(const Policy *policy, const IngotReference *image, char **scope);
/* The same of the scope HOST/NAME:TAG alone, or of NAME:TAG; NULL: the file does not have it. */
const GPtrArray *policy_find_tag(const Policy *policy, const IngotReference *image);
gboolean demands_ask(const GPtrArray *demands); /* whether any of them asks something; NULL: none */
/* Whether a scope HOST/NAME:TAG asks something, of whatever tag of that name. */
gboolean policy_asks_of_tags(const Policy *policy, const IngotReference *name);
/* Whether it asks something of any image of a registry. */
gboolean policy_asks(const Policy *policy);
/* The keys of a DEMAND_SIGNATURE: GPtrArray of TrustKey. INVALID, or as a file's errors are: one of them can't be read.
 */
GPtrArray *policy_keys(const Demand *demand, GError **error);

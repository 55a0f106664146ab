/* Logins of registries, kept as podman, skopeo and docker keep theirs: containers-auth.json(5).
 *
 * The files are those of the options, docker's last. A login goes to the first of them, which is replaced as a whole
 * (one that is mounted alone is written in place), by one program at a time; its owner alone may read it, other entries
 * stay. */
#pragma once

#include <ingot/options.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct {
    char *user, *password;
    char *identity; /* a token that access tokens are had for, in the password's place; NULL: none */
    char *path;     /* of the file, or the helper, that it is from; NULL: of none */
} IngotCredentials;
IngotCredentials *ingot_credentials_new(const char *user, const char *password);
void ingot_credentials_free(IngotCredentials *credentials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotCredentials, ingot_credentials_free)

/* *found: what is kept for HOST/NAME, for a part of NAME from its beginning, or for HOST (name may be NULL); NULL where
 * there is nothing. A file may leave that to a credential helper (credHelpers, credsStore), which is run. *problem (may
 * be NULL): why a file, or a helper that should know the login, can't be used; the search goes on without it. FALSE: a
 * signal came. */
gboolean ingot_credentials_find(const IngotRemoteOptions *options, const char *host, const char *name,
                                IngotCredentials **found, GError **problem, GError **error);
/* All names of Docker Hub are one. INVALID: the file leaves the host's login to a helper, or the options have none. */
gboolean ingot_credentials_save(const IngotRemoteOptions *options, const char *host,
                                const IngotCredentials *credentials, GError **error);
/* From all of these files but docker's own. NOT_FOUND where none is kept there; the message names what still has one.
 */
gboolean ingot_credentials_remove(const IngotRemoteOptions *options, const char *host, GError **error);

#pragma GCC visibility pop
G_END_DECLS

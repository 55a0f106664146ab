/* Logins of registries, kept where podman, skopeo and docker keep theirs: containers-auth.json(5).
 *
 * Read are $REGISTRY_AUTH_FILE, else $XDG_RUNTIME_DIR/containers/auth.json and containers/auth.json in the XDG
 * configuration folder; then $DOCKER_CONFIG/config.json, else ~/.docker/config.json. The first that can be written to
 * by this rule is where a login goes; it is replaced as a whole, its owner alone may read it, other entries stay. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    char *user, *password;
    char *identity; /* a token that access tokens are had for, in the password's place; NULL: none */
    char *path;     /* of the file, or the helper, that it is from; NULL: of none */
} IngotCredentials;
IngotCredentials *ingot_credentials_new(const char *user, const char *password);
void ingot_credentials_free(IngotCredentials *credentials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotCredentials, ingot_credentials_free)

/* *found: what is kept for HOST/NAME, for a part of NAME from its beginning, or for HOST (name may be NULL); NULL where
 * there is nothing. A file may leave that to a credential helper (credHelpers, credsStore), which is run: *problem (may
 * be NULL) is why one that should know the login can't be used. INVALID: a file is broken. */
gboolean ingot_credentials_find(const char *host, const char *name, IngotCredentials **found, GError **problem,
                                GError **error);
/* The file that logins are written to; free it. */
char *ingot_credentials_path(void);
/* All names of Docker Hub are one. */
gboolean ingot_credentials_save(const char *host, const IngotCredentials *credentials, GError **error);
/* NOT_FOUND where none is kept in that file. */
gboolean ingot_credentials_remove(const char *host, GError **error);

G_END_DECLS

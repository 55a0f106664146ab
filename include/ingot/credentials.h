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
    char *path; /* of the file that it is from; NULL: of none */
} IngotCredentials;
IngotCredentials *ingot_credentials_new(const char *user, const char *password);
void ingot_credentials_free(IngotCredentials *credentials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotCredentials, ingot_credentials_free)

/* *found: what is kept for HOST/NAME, for a part of NAME from its beginning, or for HOST (name may be NULL); NULL where
 * there is nothing. INVALID: a file is broken, or leaves the matter to a credential helper, which is not supported. */
gboolean ingot_credentials_find(const char *host, const char *name, IngotCredentials **found, GError **error);
/* The file that logins are written to; free it. */
char *ingot_credentials_path(void);
gboolean ingot_credentials_save(const char *host, const IngotCredentials *credentials, GError **error);
/* NOT_FOUND where none is kept in that file. */
gboolean ingot_credentials_remove(const char *host, GError **error);

G_END_DECLS

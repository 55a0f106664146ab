/* Logging in to a registry: nothing is shown until it asks (401), then what it asks for: an access token from the place
 * that it names ("Bearer"), or name and password ("Basic").
 *
 * Names and passwords come from ingot_credentials_find; $INGOT_TOKEN (longtokens.h), which goes before them, is shown
 * to the registry that it is for, and only if that says it is ingotd. They go to the registry itself, and to its place
 * for tokens by HTTPS, or by plain HTTP where both are on loopback addresses or named for it; never where a redirection
 * leads. They stand in no error. */
#pragma once

#include <curl/curl.h>
#include <ingot/credentials.h>
#include <ingot/remote.h>

typedef struct RemoteAuth RemoteAuth;
RemoteAuth *auth_new(void);
void auth_free(RemoteAuth *auth);
/* Credentials to use instead of what is kept (they become auth's), and whether they, or any, were asked for. */
void auth_use(RemoteAuth *auth, IngotCredentials *credentials);
gboolean auth_was_asked(const RemoteAuth *auth);

/* Before a request: an access token that is about to end is fetched anew. Where that can't be, the request goes out
 * with what there is, and the registry's answer decides. FALSE: as http_goes_on. */
gboolean auth_ready(IngotRemote *remote, const char *method, const char *url, GError **error);
/* Puts what is known into a handle whose request is for that URL. */
void auth_set(IngotRemote *remote, CURL *curl, const char *method, const char *url);
/* After a refusal. Sets the error (TRUE) where the registry itself has refused what is shown: a user and a password, or
 * $INGOT_TOKEN. */
gboolean auth_refused(IngotRemote *remote, const char *method, const char *url, GError **error);
/* What else to say: what was shown; that a token was held back, and how to say whom it is for; why no login was found;
 * or NULL. Free it. */
char *auth_hint(const IngotRemote *remote, const char *method, const char *url);
/* Whether that is a user and a password. */
gboolean auth_shows_password(IngotRemote *remote, const char *method, const char *url);
/* After 401 with these challenges: *again tells whether there is something new to show. */
gboolean auth_learn(IngotRemote *remote, const char *method, const char *url, const char *challenges, gboolean *again,
                    GError **error);

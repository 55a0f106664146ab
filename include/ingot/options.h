/* How registries are asked: what their client is told beforehand, and takes from nowhere else. All zero is the usual:
 * HTTPS with the system's certificates, no login, no proxy.
 *
 * A member that a later version adds takes the place of a reserved one, so initialize it as a whole. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

typedef struct {
    /* A file of certificates that registries are checked against; NULL: the system's. */
    const char *ca;
    /* HOST[:PORT]s that are spoken to by plain HTTP, with commas or blanks between them, as loopback addresses are;
     * the word "none" is for not even those. NULL: no others. */
    const char *plain_http;
    /* Tokens of ingotd's, each for one registry and shown to no other: HOST[:PORT]=TOKEN, with blanks between several.
     * A TOKEN alone is for token_host, or for loopback addresses where that is NULL. */
    const char *tokens, *token_host;
    /* Files as containers-auth.json(5), NULL-terminated: the first that has a login counts, and a new one goes into the
     * first. docker_logins is docker's config.json, which is read after them and never written. The credential helpers
     * that they name are run. NULL: none. */
    const char *const *logins;
    const char *docker_logins;
    /* How long connecting and a transfer that moves nothing may take, like "90" (seconds) or "5m"; NULL: 10 s and 30 s.
     */
    const char *timeout;
    /* URLs of proxies for what begins by http:// and https://, and the hosts that are asked without them, as Go's
     * clients read $NO_PROXY. NULL: none; loopback addresses are never asked by a proxy. */
    const char *http_proxy, *https_proxy, *no_proxy;
    /* Where no proxy is given, libcurl looks for one in its variables (http_proxy, https_proxy, all_proxy). */
    gboolean proxy_variables;
    /* Images that their registry has revoked or disabled are taken all the same, with a warning. */
    gboolean allow_revoked;
    /* A file as containers-policy.json(5): which images may be pulled and used, by their names, and which keys must
     * have signed them. Where it can't be read, none may. NULL: all may. */
    const char *policy;
    /* Where a name stands for images of several architectures (an OCI index), which of them is meant: "amd64", "arm64",
     * "riscv64", or what uname calls it. NULL: this machine's; a single image is taken whatever its own is. Where it is
     * given, an image of another is NOT_FOUND. */
    const char *architecture;
    gpointer reserved[6]; /* NULL */
} IngotRemoteOptions;

/* What a program of Ingot's does: as $INGOT_CA, $INGOT_PLAIN_HTTP, $INGOT_TOKEN, $INGOT_TOKEN_HOST, $INGOT_TIMEOUT,
 * $INGOT_ALLOW_REVOKED (1), $INGOT_ARCH and the variables of proxies say, by the policy of $INGOT_POLICY, or else of
 * the XDG configuration folder or /etc (containers/policy.json, where it is there), with the logins of
 * $REGISTRY_AUTH_FILE, or else of $XDG_RUNTIME_DIR and the XDG configuration folder (containers/auth.json), and of
 * $DOCKER_CONFIG or ~/.docker (config.json). No other function of the library reads the environment. Free it with
 * ingot_remote_options_free. */
IngotRemoteOptions *ingot_remote_options_from_environment(void);
/* With all that it points to; NULL gives the usual ones. */
IngotRemoteOptions *ingot_remote_options_copy(const IngotRemoteOptions *options);
/* One that came from these two. */
void ingot_remote_options_free(IngotRemoteOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotRemoteOptions, ingot_remote_options_free)

#pragma GCC visibility pop
G_END_DECLS

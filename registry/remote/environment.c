/* The one place of the library that reads the environment: for those who ask it to. */
#include "remote/environment.h"

#include <errno.h>
#include <sys/stat.h>

#define ALLOW_REVOKED "INGOT_ALLOW_REVOKED"
#define POLICY_OF_ALL "/etc/containers/policy.json"

static gint allow_revoked; /* atomic: an option of the program says so */
static char *policy;       /* likewise, before there are threads; NULL: none does */
static char *architecture; /* likewise */

/* Its value; NULL: it is not set, or empty. */
static const char *variable(const char *name)
{
    const char *value = g_getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static GStrv login_files(void)
{
    g_autoptr(GStrvBuilder) list = g_strv_builder_new();
    const char *chosen = variable("REGISTRY_AUTH_FILE"), *runtime = variable("XDG_RUNTIME_DIR");
    if (chosen != NULL) {
        g_strv_builder_add(list, chosen);
    } else {
        g_autofree char *first = g_build_filename(runtime == NULL ? "" : runtime, "containers", "auth.json", NULL);
        g_autofree char *second = g_build_filename(g_get_user_config_dir(), "containers", "auth.json", NULL);
        if (runtime != NULL) {
            g_strv_builder_add(list, first);
        }
        g_strv_builder_add(list, second);
    }
    return g_strv_builder_end(list);
}

static char *docker_logins(void)
{
    g_autofree char *home = g_build_filename(g_get_home_dir(), ".docker", NULL);
    const char *docker = variable("DOCKER_CONFIG");
    return g_build_filename(docker == NULL ? home : docker, "config.json", NULL);
}

/* $HTTP_PROXY, which libcurl does not read; NULL: none, or $http_proxy goes before it. In a CGI program it would be a
 * request's header. */
static const char *upper_http_proxy(void)
{
    return g_getenv("http_proxy") != NULL || g_getenv("REQUEST_METHOD") != NULL ? NULL : variable("HTTP_PROXY");
}

/* Whether something has that name, be it a broken link or a file that can't be read: a policy must not be passed over.
 * A folder that this process may not enter is another user's, as $HOME may be that of whoever has called sudo. */
static gboolean is_there(const char *path, gboolean is_users)
{
    struct stat st;
    return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR && !(is_users && errno == EACCES));
}

/* NULL: there is none. Free it. */
static char *find_policy(void)
{
    const char *chosen = policy == NULL ? variable("INGOT_POLICY") : policy;
    g_autofree char *own = g_build_filename(g_get_user_config_dir(), "containers", "policy.json", NULL);
    return chosen != NULL                   ? g_strdup(chosen)
           : is_there(own, TRUE)            ? g_steal_pointer(&own)
           : is_there(POLICY_OF_ALL, FALSE) ? g_strdup(POLICY_OF_ALL)
                                            : NULL;
}

IngotRemoteOptions *ingot_remote_options_from_environment(void)
{
    g_auto(GStrv) logins = login_files();
    g_autofree char *docker = docker_logins(), *rules = find_policy();
    const char *without = variable("NO_PROXY");
    const IngotRemoteOptions found = {.ca = variable("INGOT_CA"),
                                      .plain_http = variable("INGOT_PLAIN_HTTP"),
                                      .tokens = variable("INGOT_TOKEN"),
                                      .token_host = variable("INGOT_TOKEN_HOST"),
                                      .logins = (const char *const *)logins,
                                      .docker_logins = docker,
                                      .timeout = variable("INGOT_TIMEOUT"),
                                      .http_proxy = upper_http_proxy(),
                                      .no_proxy = without == NULL ? variable("no_proxy") : without,
                                      .proxy_variables = TRUE,
                                      .allow_revoked = g_atomic_int_get(&allow_revoked) ||
                                                       g_strcmp0(variable(ALLOW_REVOKED), "1") == 0,
                                      .policy = rules,
                                      .architecture = architecture == NULL ? variable("INGOT_ARCH") : architecture};
    return ingot_remote_options_copy(&found);
}

void environment_allow_revoked(void)
{
    g_atomic_int_set(&allow_revoked, TRUE);
}

void environment_use_policy(const char *path)
{
    if (path != NULL) {
        g_free(policy);
        policy = g_strdup(path);
    }
}

void environment_use_architecture(const char *word)
{
    if (word != NULL) {
        g_free(architecture);
        architecture = g_strdup(word);
    }
}

IngotRemote *environment_remote(const char *where, GError **error)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    return ingot_remote_new(where, options, error);
}

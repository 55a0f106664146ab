#include <ingot/credentials.h>

#include "base/file.h"
#include "base/json.h"
#include "base/prompt.h"
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "remote/helper.h"
#include "remote/hub.h"

#define FILE_MAX_BYTES (4u << 20)

IngotCredentials *ingot_credentials_new(const char *user, const char *password)
{
    IngotCredentials *credentials = g_new0(IngotCredentials, 1);
    credentials->user = g_strdup(user);
    credentials->password = g_strdup(password);
    return credentials;
}

void ingot_credentials_free(IngotCredentials *credentials)
{
    if (credentials != NULL) {
        g_free(credentials->user);
        ingot_secret_free(credentials->password);
        ingot_secret_free(credentials->identity);
        g_free(credentials->path);
        g_free(credentials);
    }
}

/* --- where --- */

static const char *variable(const char *name)
{
    const char *value = g_getenv(name);
    return value == NULL || *value == '\0' ? NULL : value;
}

static GStrv files(void)
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
    g_autofree char *home = g_build_filename(g_get_home_dir(), ".docker", NULL);
    const char *docker = variable("DOCKER_CONFIG");
    g_autofree char *third = g_build_filename(docker == NULL ? home : docker, "config.json", NULL);
    g_strv_builder_add(list, third);
    return g_strv_builder_end(list);
}

char *ingot_credentials_path(void)
{
    g_auto(GStrv) list = files();
    return g_strdup(list[0]);
}

/* --- reading --- */

static gboolean invalid(GError **error, const char *path, const char *key, const char *what)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s: %s", path, key, what);
    return FALSE;
}

/* An empty object where there is no such file. */
static json_t *read_file(const char *path, GError **error)
{
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return json_object();
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, FILE_MAX_BYTES, error);
    if (bytes == NULL) {
        return NULL;
    }
    if (g_bytes_get_size(bytes) == 0) {
        return json_object();
    }
    json_t *root = ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), path, error);
    if (root != NULL && !json_is_object(root)) {
        g_clear_pointer(&root, json_decref);
        invalid(error, path, "it", "a JSON object is expected");
    }
    return root;
}

/* base64 of "USER:PASSWORD". */
static IngotCredentials *decode(const char *text, const char *path, const char *key, GError **error)
{
    gsize size;
    gboolean valid = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") == strlen(text);
    g_autofree guchar *bytes = g_base64_decode(text, &size);
    g_autoptr(IngotSecret) pair = g_strndup((const char *)bytes, size); /* to the first NUL: docker pads with them */
    char *colon = strchr(pair, ':');
    explicit_bzero(bytes, size);
    if (!valid || colon == NULL) {
        invalid(error, path, key, "its \"auth\" is not base64 of USER:PASSWORD");
        return NULL;
    }
    *colon = '\0';
    IngotCredentials *credentials = ingot_credentials_new(pair, colon + 1);
    *colon = ':';
    credentials->path = g_strdup(path);
    return credentials;
}

/* What is looked for, in one file. */
typedef struct {
    const char *path;
    json_t *root;
    const char *host, *name;
    IngotCredentials *found;
    gboolean marked;  /* there is an entry without a login: docker's mark that its store has one */
    char *server;     /* that entry's key */
    GError **problem; /* with a helper */
} Search;

/* Docker wrote keys like "https://HOST/v1/" once. *spelled: the key as it stands there. */
static const json_t *find_key(const json_t *object, const char *key, const char **spelled)
{
    const json_t *value = json_object_get(object, key), *other;
    const char *name;
    *spelled = key;
    json_object_foreach((json_t *)object, name, other)
    {
        const char *rest = g_str_has_prefix(name, "https://")  ? name + strlen("https://")
                           : g_str_has_prefix(name, "http://") ? name + strlen("http://")
                                                               : NULL;
        if (value == NULL && rest != NULL && strcspn(rest, "/") == strlen(key) &&
            strncmp(rest, key, strlen(key)) == 0) {
            value = other;
            *spelled = name;
        }
    }
    return value;
}

/* A helper that can't be used is told, and the search goes on. FALSE: a signal came. */
static gboolean search_helper(Search *search, const char *helper, const char *server, gboolean must, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (helper_get(helper, server, &search->found, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (search->problem != NULL && *search->problem == NULL &&
        (must || !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND))) {
        g_set_error(search->problem, INGOT_ERROR, INGOT_ERROR_FAILED, "%s leaves the login of %s to a program: %s",
                    search->path, search->host, problem->message);
    }
    return TRUE;
}

static gboolean search_key(Search *search, const char *key, GError **error)
{
    const char *spelled;
    const char *helper = json_string_value(find_key(json_object_get(search->root, "credHelpers"), key, &spelled));
    if (helper != NULL && *helper != '\0' && !search_helper(search, helper, spelled, TRUE, error)) {
        return FALSE;
    }
    const json_t *entry = find_key(json_object_get(search->root, "auths"), key, &spelled);
    const char *text = json_string_value(json_object_get(entry, "auth"));
    const char *identity = json_string_value(json_object_get(entry, "identitytoken"));
    gboolean has_login = text != NULL && *text != '\0', has_identity = identity != NULL && *identity != '\0';
    if (search->found != NULL || entry == NULL) {
        return TRUE;
    }
    if (has_login && (search->found = decode(text, search->path, key, error)) == NULL) {
        return FALSE;
    }
    if (has_identity && search->found == NULL) {
        search->found = ingot_credentials_new("", "");
        search->found->path = g_strdup(search->path);
    }
    if (has_identity) {
        search->found->identity = g_strdup(identity);
    } else if (!has_login && !search->marked) {
        search->marked = TRUE;
        search->server = g_strdup(spelled);
    }
    return TRUE;
}

/* HOST/a/b/c, HOST/a/b, HOST/a, HOST. */
static gboolean search_host(Search *search, const char *host, GError **error)
{
    g_autofree char *key = search->name == NULL ? g_strdup(host) : g_strdup_printf("%s/%s", host, search->name);
    while (search_key(search, key, error)) {
        char *slash = strrchr(key, '/');
        if (search->found != NULL || slash == NULL) {
            return TRUE;
        }
        *slash = '\0';
    }
    return FALSE;
}

/* The store of all logins is asked for registries that the file does not name, too: some make logins up. */
static gboolean search_store(Search *search, GError **error)
{
    const char *store = json_string_value(json_object_get(search->root, "credsStore"));
    const char *server = hub_is(search->host) ? HUB_SERVER : search->server != NULL ? search->server : search->host;
    return search->found != NULL || store == NULL || *store == '\0' ||
           search_helper(search, store, server, search->marked, error);
}

static gboolean search_file(Search *search, GError **error)
{
    const char *const own[] = {search->host, NULL};
    const char *const *hosts = hub_is(search->host) ? hub_names : own;
    gboolean ok = TRUE;
    search->marked = FALSE;
    search->root = read_file(search->path, error);
    for (guint i = 0; search->root != NULL && ok && search->found == NULL && hosts[i] != NULL; i++) {
        ok = search_host(search, hosts[i], error);
    }
    ok = ok && search->root != NULL && search_store(search, error);
    g_clear_pointer(&search->root, json_decref);
    g_clear_pointer(&search->server, g_free);
    return ok;
}

gboolean ingot_credentials_find(const char *host, const char *name, IngotCredentials **found, GError **problem,
                                GError **error)
{
    g_auto(GStrv) list = files();
    Search search = {.host = host, .name = name, .problem = problem};
    gboolean ok = TRUE;
    for (guint i = 0; list[i] != NULL && ok && search.found == NULL; i++) {
        search.path = list[i];
        ok = search_file(&search, error);
    }
    *found = ok ? search.found : NULL;
    if (!ok) {
        ingot_credentials_free(search.found);
    }
    return ok;
}

/* --- writing --- */

static gboolean write_file(const char *path, const json_t *root, GError **error)
{
    /* A link stays one: what it leads to is replaced. */
    g_autofree char *real = realpath(path, NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autoptr(IngotSecret) text = ingot_json_pretty(root);
    return ingot_file_make_folder(folder, error) &&
           ingot_file_replace(real == NULL ? path : real, text, strlen(text), 0600, error);
}

gboolean ingot_credentials_save(const char *host, const IngotCredentials *credentials, GError **error)
{
    g_autofree char *path = ingot_credentials_path();
    g_autoptr(json_t) root = read_file(path, error);
    if (root == NULL) {
        return FALSE;
    }
    if (!json_is_object(json_object_get(root, "auths"))) {
        json_object_set_new(root, "auths", json_object());
    }
    g_autoptr(IngotSecret) pair = g_strdup_printf("%s:%s", credentials->user, credentials->password);
    g_autoptr(IngotSecret) text = g_base64_encode((const guchar *)pair, strlen(pair));
    json_object_set_new(json_object_get(root, "auths"), hub_is(host) ? HUB_HOST : host,
                        json_pack("{s:s}", "auth", text));
    return write_file(path, root, error);
}

gboolean ingot_credentials_remove(const char *host, GError **error)
{
    g_autofree char *path = ingot_credentials_path();
    g_autoptr(json_t) root = read_file(path, error);
    if (root == NULL) {
        return FALSE;
    }
    if (json_object_del(json_object_get(root, "auths"), hub_is(host) ? HUB_HOST : host) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: no login of %s is kept", path, host);
        return FALSE;
    }
    return write_file(path, root, error);
}

#include <ingot/credentials.h>

#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/json.h>
#include <ingot/prompt.h>
#include <stdlib.h>
#include <string.h>

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

/* Docker wrote keys like "https://HOST/v1/" once. */
static const json_t *find_key(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key), *other;
    const char *name;
    json_object_foreach((json_t *)object, name, other)
    {
        const char *rest = g_str_has_prefix(name, "https://")  ? name + strlen("https://")
                           : g_str_has_prefix(name, "http://") ? name + strlen("http://")
                                                               : NULL;
        if (value == NULL && rest != NULL && strcspn(rest, "/") == strlen(key) &&
            strncmp(rest, key, strlen(key)) == 0) {
            value = other;
        }
    }
    return value;
}

static gboolean find_in(const json_t *root, const char *path, const char *key, IngotCredentials **found, GError **error)
{
    static const char helper[] =
        "a credential helper keeps this login, which ingot does not support: `ingot login` does";
    const json_t *entry = find_key(json_object_get(root, "auths"), key);
    const char *store = json_string_value(json_object_get(root, "credsStore"));
    const char *text = json_string_value(json_object_get(entry, "auth"));
    const char *identity = json_string_value(json_object_get(entry, "identitytoken"));
    if (find_key(json_object_get(root, "credHelpers"), key) != NULL) {
        return invalid(error, path, key, helper);
    }
    if (identity != NULL && *identity != '\0') {
        return invalid(error, path, key,
                       "an identity token is kept, which ingot does not support: `ingot login` logs in anew");
    }
    if (text != NULL && *text != '\0') {
        *found = decode(text, path, key, error);
        return *found != NULL;
    }
    return entry == NULL || store == NULL || *store == '\0' || invalid(error, path, key, helper);
}

/* HOST/a/b/c, HOST/a/b, HOST/a, HOST. */
static gboolean find_in_file(const char *path, const char *host, const char *name, IngotCredentials **found,
                             GError **error)
{
    g_autoptr(json_t) root = read_file(path, error);
    g_autofree char *key = name == NULL ? g_strdup(host) : g_strdup_printf("%s/%s", host, name);
    while (root != NULL && find_in(root, path, key, found, error)) {
        char *slash = strrchr(key, '/');
        if (*found != NULL || slash == NULL) {
            return TRUE;
        }
        *slash = '\0';
    }
    return FALSE;
}

gboolean ingot_credentials_find(const char *host, const char *name, IngotCredentials **found, GError **error)
{
    g_auto(GStrv) list = files();
    *found = NULL;
    for (guint i = 0; list[i] != NULL && *found == NULL; i++) {
        if (!find_in_file(list[i], host, name, found, error)) {
            return FALSE;
        }
    }
    return TRUE;
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
    json_object_set_new(json_object_get(root, "auths"), host, json_pack("{s:s}", "auth", text));
    return write_file(path, root, error);
}

gboolean ingot_credentials_remove(const char *host, GError **error)
{
    g_autofree char *path = ingot_credentials_path();
    g_autoptr(json_t) root = read_file(path, error);
    if (root == NULL) {
        return FALSE;
    }
    if (json_object_del(json_object_get(root, "auths"), host) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: no login of %s is kept", path, host);
        return FALSE;
    }
    return write_file(path, root, error);
}

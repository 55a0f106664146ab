#include <ingot/credentials.h>

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/prompt.h"
#include "image/hub.h"
#include "remote/helper.h"
#include "remote/http.h"

#define FILE_MAX_BYTES (4u << 20)
#define LINKS_MAX 40 /* that lead from one to the next */
#define HELPER_SECONDS 30

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

/* --- reading --- */

static gboolean invalid(GError **error, const char *path, const char *key, const char *what)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: %s: %s", path, key, what);
    return FALSE;
}

/* All names of a host, NULL-terminated; own: room for them. */
static const char *const *names_of(const char *host, const char *own[2])
{
    own[0] = host;
    own[1] = NULL;
    return hub_is(host) ? hub_names : own;
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
    const IngotRemoteOptions *options;
    const char *path;
    json_t *root;
    const char *host, *name;
    IngotCredentials *found;
    gboolean marked;  /* there is an entry without a login: docker's mark that its store has one */
    char *server;     /* that entry's key */
    GError **problem; /* the first one with a file or a helper */
} Search;

/* Docker wrote keys like "https://HOST/v1/" once. */
static gboolean is_key_by_url(const char *name, const char *key)
{
    const char *rest = g_str_has_prefix(name, "https://")  ? name + strlen("https://")
                       : g_str_has_prefix(name, "http://") ? name + strlen("http://")
                                                           : NULL;
    return rest != NULL && strcspn(rest, "/") == strlen(key) && strncmp(rest, key, strlen(key)) == 0;
}

/* *spelled: the key as it stands there. */
static const json_t *find_key(const json_t *object, const char *key, const char **spelled)
{
    const json_t *value = json_object_get(object, key), *other;
    const char *name;
    *spelled = key;
    json_object_foreach((json_t *)object, name, other)
    {
        if (value == NULL && is_key_by_url(name, key)) {
            value = other;
            *spelled = name;
        }
    }
    return value;
}

/* What can't be used is noted (the problem becomes the search's), and the search goes on: most that is asked of a
 * registry needs no login. FALSE: a signal came. */
static gboolean search_on(Search *search, GError *problem, GError **error)
{
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    if (search->problem != NULL && *search->problem == NULL) {
        *search->problem = problem;
    } else {
        g_error_free(problem);
    }
    return TRUE;
}

static gboolean search_helper(Search *search, const char *helper, const char *server, gboolean must, GError **error)
{
    GError *problem = NULL;
    guint seconds = (guint)http_seconds(search->options, HELPER_SECONDS);
    if (helper_get(helper, server, seconds, &search->found, &problem)) {
        return TRUE;
    }
    if (!must && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_error_free(problem);
        return TRUE;
    }
    g_prefix_error(&problem, "%s leaves the login of %s to a program: ", search->path, search->host);
    return search_on(search, problem, error);
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
    GError *problem = NULL;
    if (has_login && (search->found = decode(text, search->path, key, &problem)) == NULL &&
        !search_on(search, problem, error)) {
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
    const char *own[2];
    const char *const *hosts = names_of(search->host, own);
    GError *problem = NULL;
    gboolean ok = TRUE;
    search->marked = FALSE;
    search->root = read_file(search->path, &problem);
    if (search->root == NULL) {
        return search_on(search, problem, error);
    }
    for (guint i = 0; ok && search->found == NULL && hosts[i] != NULL; i++) {
        ok = search_host(search, hosts[i], error);
    }
    ok = ok && search_store(search, error);
    g_clear_pointer(&search->root, json_decref);
    g_clear_pointer(&search->server, g_free);
    return ok;
}

gboolean ingot_credentials_find(const IngotRemoteOptions *options, const char *host, const char *name,
                                IngotCredentials **found, GError **problem, GError **error)
{
    Search search = {.options = options, .host = host, .name = name, .problem = problem};
    gboolean ok = TRUE;
    for (guint i = 0; options->logins != NULL && options->logins[i] != NULL && ok && search.found == NULL; i++) {
        search.path = options->logins[i];
        ok = search_file(&search, error);
    }
    if (ok && search.found == NULL && options->docker_logins != NULL) {
        search.path = options->docker_logins;
        ok = search_file(&search, error);
    }
    *found = ok ? search.found : NULL;
    if (!ok) {
        ingot_credentials_free(search.found);
    }
    return ok;
}

/* --- writing --- */

/* The file that logins are written to. */
static const char *own_file(const IngotRemoteOptions *options, GError **error)
{
    const char *path = options->logins == NULL ? NULL : options->logins[0];
    if (path == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "no file for logins is given");
    }
    return path;
}

/* Where a path's links lead, be it to a file that is not there yet. Free it. */
static char *follow(const char *path)
{
    char *at = g_strdup(path);
    for (guint i = 0; i < LINKS_MAX; i++) {
        g_autofree char *target = g_file_read_link(at, NULL);
        if (target == NULL) {
            break;
        }
        g_autofree char *folder = g_path_get_dirname(at);
        g_free(at);
        at = g_path_is_absolute(target) ? g_strdup(target) : g_build_filename(folder, target, NULL);
    }
    return at;
}

/* Whether a file is mounted alone, as containers have it: no other one can take its place. */
static gboolean is_mounted(const char *path)
{
    struct statx st;
    return statx(AT_FDCWD, path, 0, STATX_TYPE, &st) == 0 && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static gboolean write_in_place(const char *path, const char *text, gsize size, GError **error)
{
    g_auto(IngotFd) fd = ingot_file_open(path, O_WRONLY, 0, error);
    if (fd < 0 || !ingot_file_pwrite(fd, text, size, 0, path, error)) {
        return FALSE;
    }
    return (ftruncate(fd, (off_t)size) == 0 && fchmod(fd, 0600) == 0 && fsync(fd) == 0) ||
           ingot_error_set_errno(error, errno, "%s: cannot write", path);
}

static gboolean write_file(const char *path, const json_t *root, GError **error)
{
    g_autoptr(IngotSecret) text = ingot_json_pretty(root);
    return is_mounted(path) ? write_in_place(path, text, strlen(text), error)
                            : ingot_file_replace(path, text, strlen(text), 0600, error);
}

/* A file that is read, changed and written, by one program at a time. */
typedef struct {
    char *path; /* a link stays one: what it leads to is written */
    IngotLock *lock;
    json_t *root;
} Change;

static void change_clear(Change *change)
{
    g_clear_pointer(&change->root, json_decref);
    g_clear_pointer(&change->lock, ingot_lock_release);
    g_clear_pointer(&change->path, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Change, change_clear)

static gboolean change_begin(Change *change, const char *path, GError **error)
{
    change->path = follow(path);
    g_autofree char *folder = g_path_get_dirname(change->path), *beside = g_strconcat(change->path, ".lock", NULL);
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    change->lock = ingot_lock_take(beside, TRUE, TRUE, error);
    change->root = change->lock == NULL ? NULL : read_file(change->path, error);
    return change->root != NULL;
}

/* The helper that a file leaves a host's login to, which goes before what else it has; NULL: none. */
static const char *helper_of(const json_t *root, const char *host)
{
    const char *own[2], *spelled, *helper = NULL;
    const char *const *hosts = names_of(host, own);
    for (guint i = 0; helper == NULL && hosts[i] != NULL; i++) {
        helper = json_string_value(find_key(json_object_get(root, "credHelpers"), hosts[i], &spelled));
    }
    return helper == NULL || *helper == '\0' ? NULL : helper;
}

gboolean ingot_credentials_save(const IngotRemoteOptions *options, const char *host,
                                const IngotCredentials *credentials, GError **error)
{
    const char *path = own_file(options, error);
    g_auto(Change) change = {0};
    if (path == NULL || !change_begin(&change, path, error)) {
        return FALSE;
    }
    const char *helper = helper_of(change.root, host);
    if (helper != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: %s leaves its login to docker-credential-%s (credHelpers), so that another one would not be "
                    "used: nothing is kept",
                    host, path, helper);
        return FALSE;
    }
    if (!json_is_object(json_object_get(change.root, "auths"))) {
        json_object_set_new(change.root, "auths", json_object());
    }
    g_autoptr(IngotSecret) pair = g_strdup_printf("%s:%s", credentials->user, credentials->password);
    g_autoptr(IngotSecret) text = g_base64_encode((const guchar *)pair, strlen(pair));
    json_object_set_new(json_object_get(change.root, "auths"), hub_is(host) ? HUB_HOST : host,
                        json_pack("{s:s}", "auth", text));
    return write_file(change.path, change.root, error);
}

/* Removes each way to write a host's key. FALSE: there is none. */
static gboolean remove_keys(json_t *auths, const char *host)
{
    const char *own[2], *name;
    const char *const *hosts = names_of(host, own);
    gboolean removed = FALSE;
    json_t *value;
    void *next;
    json_object_foreach_safe(auths, next, name, value)
    {
        gboolean is_own = FALSE;
        for (guint i = 0; !is_own && hosts[i] != NULL; i++) {
            is_own = strcmp(name, hosts[i]) == 0 || is_key_by_url(name, hosts[i]);
        }
        removed = (is_own && json_object_del(auths, name) == 0) || removed;
    }
    return removed;
}

static gboolean remove_from(const char *path, const char *host, gboolean *removed, GError **error)
{
    g_auto(Change) change = {0};
    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    if (!change_begin(&change, path, error)) {
        return FALSE;
    }
    if (!remove_keys(json_object_get(change.root, "auths"), host)) {
        return TRUE;
    }
    *removed = TRUE;
    return write_file(change.path, change.root, error);
}

/* Always FALSE. */
static gboolean say_none_is_kept(const IngotRemoteOptions *options, const char *host, GError **error)
{
    const char *path = own_file(options, error);
    g_autoptr(IngotCredentials) other = NULL;
    if (path == NULL || !ingot_credentials_find(options, host, NULL, &other, NULL, error)) {
        return FALSE;
    }
    if (other == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: no login is kept in %s", host, path);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "%s: no login is kept in %s; the one of %s is still used, and is for the program to remove that "
                    "keeps it there",
                    host, path, other->path);
    }
    return FALSE;
}

gboolean ingot_credentials_remove(const IngotRemoteOptions *options, const char *host, GError **error)
{
    gboolean removed = FALSE;
    for (guint i = 0; options->logins != NULL && options->logins[i] != NULL; i++) {
        if (!remove_from(options->logins[i], host, &removed, error)) {
            return FALSE;
        }
    }
    return removed || say_none_is_kept(options, host, error);
}

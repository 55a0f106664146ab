#include "remote/auth.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/prompt.h"
#include "remote/challenges.h"
#include "remote/failure.h"
#include "remote/http.h"
#include "remote/longtokens.h"

#define ANSWER_MAX (1u << 20) /* bytes */
#define ANSWER_VALUES 1024
#define SECONDS 60 /* that a token is good for where nothing is said (distribution's specification) */
#define PASSES_MAX 256
#define MARGIN 30 /* seconds before its end when another one is fetched */
#define AGAIN 10L /* seconds until that is tried again */

/* What is shown for one name and kind of request. */
typedef struct {
    char *token;                         /* bearer's; NULL: user and password */
    IngotCredentials *login;             /* NULL: none, an anonymous token */
    char *realm, *service, *scope, *url; /* where the token is from; realm NULL: it is a long one */
    gint64 renew;                        /* monotonic */
} Pass;

struct RemoteAuth {
    GHashTable *passes;      /* kind and name -> Pass */
    IngotCredentials *given; /* instead of what is kept */
    gboolean asked;
    GError *problem;   /* with a credential helper, without which it was gone on; NULL: none */
    gboolean withheld; /* a token that names no registry was not shown to this one */
};

static void pass_free(gpointer data)
{
    Pass *pass = data;
    ingot_secret_free(pass->token);
    ingot_credentials_free(pass->login);
    g_free(pass->realm);
    g_free(pass->service);
    g_free(pass->scope);
    g_free(pass->url);
    g_free(pass);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pass, pass_free)

RemoteAuth *auth_new(void)
{
    RemoteAuth *auth = g_new0(RemoteAuth, 1);
    auth->passes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, pass_free);
    return auth;
}

void auth_free(RemoteAuth *auth)
{
    if (auth != NULL) {
        g_hash_table_unref(auth->passes);
        ingot_credentials_free(auth->given);
        g_clear_error(&auth->problem);
        g_free(auth);
    }
}

void auth_use(RemoteAuth *auth, IngotCredentials *credentials)
{
    ingot_credentials_free(auth->given);
    auth->given = credentials;
}

gboolean auth_was_asked(const RemoteAuth *auth)
{
    return auth->asked;
}

/* --- which request is which --- */

/* The part of a URL after the registry's own address; NULL: it is another's. */
static const char *own_path(const IngotRemote *remote, const char *url)
{
    gsize length = strlen(remote->base);
    return strncmp(url, remote->base, length) == 0 && url[length] == '/' ? url + length : NULL;
}

/* NAME of /v2/NAME/KIND/…; NULL where there is none. Free it. */
static char *name_of(const char *path)
{
    static const char *const kinds[] = {"/blobs/", "/manifests/", "/tags/", "/referrers/"};
    const char *last = NULL;
    if (!g_str_has_prefix(path, "/v2/")) {
        return NULL;
    }
    path += strlen("/v2/");
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const char *at = g_strrstr(path, kinds[i]);
        /* "/blobs/uploads/": the first of the two that follow each other is meant, and no other kind comes after. */
        last = at != NULL && (last == NULL || at > last) ? at : last;
    }
    return last == NULL ? NULL : g_strndup(path, (gsize)(last - path));
}

static char *key_of(const char *method, const char *path)
{
    g_autofree char *name = name_of(path);
    const char *kind = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ? "pull"
                       : strcmp(method, "DELETE") == 0                           ? "delete"
                                                                                 : "push";
    return g_strdup_printf("%s %s", kind, name == NULL ? "" : name);
}

static Pass *find_pass(const IngotRemote *remote, const char *method, const char *url)
{
    const char *path = own_path(remote, url);
    g_autofree char *key = path == NULL ? NULL : key_of(method, path);
    return key == NULL ? NULL : g_hash_table_lookup(remote->auth->passes, key);
}

/* --- tokens --- */

static char *token_url(const Pass *pass)
{
    GString *url = g_string_new(pass->realm);
    const char *const pairs[][2] = {{"service", pass->service}, {"scope", pass->scope}};
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (pairs[i][1] != NULL) {
            g_string_append_printf(url, "%c%s=", strchr(url->str, '?') == NULL ? '?' : '&', pairs[i][0]);
            g_string_append_uri_escaped(url, pairs[i][1], "/:", FALSE);
        }
    }
    return g_string_free(url, FALSE);
}

static gboolean take_token(const IngotRemote *remote, Pass *pass, const HttpExchange *get, GError **error)
{
    gsize room = ANSWER_VALUES;
    g_autoptr(json_t) body = failure_parse(remote, get->url, get->answer, &room, error);
    if (body == NULL) {
        return FALSE;
    }
    const char *token = json_string_value(json_object_get(body, "token"));
    token = token != NULL ? token : json_string_value(json_object_get(body, "access_token"));
    if (!long_token_check(token)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: the answer holds no token", get->url);
        return FALSE;
    }
    gint64 seconds = json_integer_value(json_object_get(body, "expires_in"));
    seconds = seconds <= 0 ? SECONDS : MIN(seconds, 86400);
    ingot_secret_free(pass->token);
    pass->token = g_strdup(token);
    pass->renew = g_get_monotonic_time() + MAX(seconds - MARGIN, seconds / 2) * G_USEC_PER_SEC;
    return TRUE;
}

/* What an identity token is exchanged with (OAuth2, RFC 6749, section 6). Free it with ingot_secret_free. */
static char *token_form(const Pass *pass)
{
    GString *form = g_string_new("grant_type=refresh_token&client_id=ingot");
    const char *const pairs[][2] = {
        {"service", pass->service}, {"scope", pass->scope}, {"refresh_token", pass->login->identity}};
    for (guint i = 0; i < G_N_ELEMENTS(pairs); i++) {
        if (pairs[i][1] != NULL) {
            g_string_append_printf(form, "&%s=", pairs[i][0]);
            g_string_append_uri_escaped(form, pairs[i][1], NULL, FALSE);
        }
    }
    return g_string_free(form, FALSE);
}

/* patience (NULL: as always): how long the place may ask to wait. */
static gboolean ask_for_token(IngotRemote *remote, const Pass *pass, Patience *patience, HttpExchange *exchange,
                              GError **error)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    gboolean by_identity = pass->login != NULL && pass->login->identity != NULL;
    g_autoptr(IngotSecret) form = by_identity ? token_form(pass) : NULL;
    *exchange = (HttpExchange){.method = by_identity ? "POST" : "GET",
                               .url = g_strdup(by_identity ? pass->realm : pass->url),
                               .headers = by_identity ? headers : NULL,
                               .body = form,
                               .body_size = form == NULL ? 0 : strlen(form),
                               .login = by_identity ? NULL : pass->login,
                               .bare = TRUE,
                               .patience = patience,
                               .limit = ANSWER_MAX};
    gboolean ok = http_exchange(remote, exchange, error);
    exchange->body = NULL;
    return ok;
}

/* "login as 'alice' of FILE", or what else is shown. Free it. */
static char *login_text(const IngotCredentials *login)
{
    g_autofree char *what =
        login->identity != NULL ? g_strdup("identity token") : g_strdup_printf("login as '%s'", login->user);
    return g_strconcat(what, login->path == NULL ? NULL : " of ", login->path, NULL);
}

/* Always FALSE. */
static gboolean refuse_login(const IngotRemote *remote, const IngotCredentials *login, GError **error)
{
    g_autofree char *what = login_text(login);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s: the %s is refused", remote->host, what);
    return FALSE;
}

/* *had is FALSE without an error where nobody was logged in and the place gives nothing to nobodies. */
static gboolean fetch_token(IngotRemote *remote, Pass *pass, Patience *patience, gboolean *had, GError **error)
{
    g_auto(HttpExchange) get = {0};
    *had = FALSE;
    if (!ask_for_token(remote, pass, patience, &get, error)) {
        return FALSE;
    }
    /* RFC 6749 has 400 for a refresh token that is no good. */
    if (get.status == 401 || get.status == 403 || (get.status == 400 && pass->login != NULL && pass->login->identity)) {
        return pass->login == NULL || refuse_login(remote, pass->login, error);
    }
    *had = get.status == 200 && take_token(remote, pass, &get, error);
    return *had || (get.status != 200 && http_refused(remote, &get, error));
}

void auth_set(IngotRemote *remote, CURL *curl, const char *method, const char *url)
{
    const Pass *pass = find_pass(remote, method, url);
    if (pass != NULL && pass->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, pass->token);
    } else if (pass != NULL) {
        http_basic(curl, pass->login);
    }
}

gboolean auth_shows_password(IngotRemote *remote, const char *method, const char *url)
{
    const Pass *pass = find_pass(remote, method, url);
    return pass != NULL && pass->token == NULL;
}

gboolean auth_refused(IngotRemote *remote, const char *method, const char *url, GError **error)
{
    const Pass *pass = find_pass(remote, method, url);
    if (pass == NULL || pass->url != NULL) { /* a place of tokens has taken the login */
        return FALSE;
    }
    if (pass->login != NULL) {
        refuse_login(remote, pass->login, error);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "%s: the token in $INGOT_TOKEN is refused: it may have ended, or be revoked", remote->host);
    }
    return TRUE;
}

char *auth_hint(const IngotRemote *remote, const char *method, const char *url)
{
    const RemoteAuth *auth = remote->auth;
    const Pass *pass = find_pass(remote, method, url);
    if (auth->withheld) {
        return g_strdup_printf(" (a token in $INGOT_TOKEN names no registry, so that it goes to loopback addresses "
                               "alone: INGOT_TOKEN_HOST=%s says that it is for this one)",
                               remote->host);
    }
    if (pass != NULL && pass->login != NULL) {
        g_autofree char *login = login_text(pass->login);
        return g_strdup_printf(" (asked with the %s)", login);
    }
    return auth->problem == NULL
               ? NULL
               : g_strdup_printf(" (asked without a login: %s; `ingot login` logs in)", auth->problem->message);
}

/* Names are asked for without end: what is known of those that nobody has asked for lately is learnt again. */
static void passes_add(RemoteAuth *auth, char *key, Pass *pass)
{
    GHashTableIter all;
    gpointer one;
    gint64 now = g_get_monotonic_time();
    g_hash_table_iter_init(&all, auth->passes);
    while (g_hash_table_iter_next(&all, NULL, &one)) {
        const Pass *other = one;
        if (other->url != NULL && other->renew < now) {
            g_hash_table_iter_remove(&all);
        }
    }
    if (g_hash_table_size(auth->passes) >= PASSES_MAX) {
        g_hash_table_remove_all(auth->passes);
    }
    g_hash_table_replace(auth->passes, key, pass);
}

/* --- what is asked for --- */

/* By plain HTTP: from this machine to this machine, or to a host that is named for it. */
static gboolean is_trusted_together(const IngotRemoteOptions *options, const char *host, const char *other)
{
    return (http_is_loopback(host) && http_is_loopback(other)) ||
           (plain_is_trusted(options, host) && plain_is_named(options, other));
}

/* Where name and password may go. */
static gboolean may_go_to(const IngotRemote *remote, const char *realm)
{
    g_autoptr(GUri) uri = g_uri_parse(realm, G_URI_FLAGS_NONE, NULL);
    if (uri == NULL || g_uri_get_host(uri) == NULL || g_uri_get_userinfo(uri) != NULL ||
        g_uri_get_fragment(uri) != NULL) {
        return FALSE;
    }
    gboolean is_six = strchr(g_uri_get_host(uri), ':') != NULL;
    g_autofree char *name = g_strdup_printf(is_six ? "[%s]" : "%s", g_uri_get_host(uri));
    g_autofree char *host =
        g_uri_get_port(uri) < 0 ? g_strdup(name) : g_strdup_printf("%s:%d", name, g_uri_get_port(uri));
    return strcmp(g_uri_get_scheme(uri), "https") == 0 ||
           (strcmp(g_uri_get_scheme(uri), "http") == 0 && g_str_has_prefix(remote->base, "http:") &&
            is_trusted_together(remote->options, remote->host, host));
}

/* Always FALSE. */
static gboolean refuse_plain(const IngotRemote *remote, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                "%s: it wants a login by plain HTTP: nothing is sent; https:// is needed, or its name in "
                "$INGOT_PLAIN_HTTP",
                remote->host);
    return FALSE;
}

static gboolean find_login(const IngotRemote *remote, const char *path, IngotCredentials **login, GError **error)
{
    const IngotCredentials *given = remote->auth->given;
    if (given != NULL) {
        *login = ingot_credentials_new(given->user, given->password);
        return TRUE;
    }
    g_autofree char *name = name_of(path);
    g_clear_error(&remote->auth->problem);
    return ingot_credentials_find(remote->options, remote->host, name, login, &remote->auth->problem, error);
}

static gboolean is_same_login(const IngotCredentials *a, const IngotCredentials *b)
{
    return strcmp(a->user, b->user) == 0 && strcmp(a->password, b->password) == 0 &&
           g_strcmp0(a->identity, b->identity) == 0;
}

/* Takes the login that is kept by now in the place of the one that the pass has. FALSE: it is the same, or none. */
static gboolean pass_take_login(const IngotRemote *remote, const char *url, Pass *pass)
{
    g_autoptr(IngotCredentials) login = NULL;
    if (pass->login == NULL || !find_login(remote, own_path(remote, url), &login, NULL) || login == NULL ||
        is_same_login(login, pass->login)) {
        return FALSE;
    }
    ingot_credentials_free(pass->login);
    pass->login = g_steal_pointer(&login);
    return TRUE;
}

/* Another access token for the pass, before its own ends. *refused: none is given to its login. A login from a helper
 * may have ended, so that this is asked for another. */
static gboolean pass_renew(IngotRemote *remote, const char *url, Pass *pass, gboolean *refused)
{
    Patience none = patience_of(0);
    g_autoptr(GError) problem = NULL;
    gboolean had = FALSE;
    gboolean ok = fetch_token(remote, pass, &none, &had, &problem);
    if (!ok && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) && pass_take_login(remote, url, pass)) {
        g_clear_error(&problem);
        ok = fetch_token(remote, pass, &none, &had, &problem);
    }
    *refused = !had && (ok || g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED));
    return had;
}

gboolean auth_ready(IngotRemote *remote, const char *method, const char *url, GError **error)
{
    Pass *pass = find_pass(remote, method, url);
    gboolean refused;
    if (pass == NULL || pass->url == NULL || g_get_monotonic_time() < pass->renew ||
        pass_renew(remote, url, pass, &refused)) {
        return TRUE;
    }
    if (refused) { /* the registry's next 401 begins anew */
        g_autofree char *key = key_of(method, own_path(remote, url));
        g_hash_table_remove(remote->auth->passes, key);
    } else { /* the token that is here is still good for a while */
        pass->renew = g_get_monotonic_time() + AGAIN * G_USEC_PER_SEC;
    }
    return http_goes_on(remote, error);
}

/* The part of $INGOT_TOKEN that is for this registry; NULL without an error where none is. Free it. */
static gboolean long_token(IngotRemote *remote, const Challenge *bearer, char **token, GError **error)
{
    LongTokens all = {.tokens = remote->options->tokens, .host = remote->options->token_host};
    const char *scheme = g_str_has_prefix(remote->base, "http:") ? "http" : "https";
    *token = NULL;
    if (all.tokens == NULL || remote->auth->given != NULL ||
        g_strcmp0(challenge_get(bearer, "service"), "ingot") != 0) {
        return TRUE;
    }
    if (!long_tokens_find(&all, remote->host, scheme, token, error)) {
        return FALSE;
    }
    if (*token != NULL && strcmp(scheme, "http") == 0 && !plain_is_trusted(remote->options, remote->host)) {
        g_clear_pointer(token, ingot_secret_free);
        return refuse_plain(remote, error);
    }
    remote->auth->withheld = *token == NULL && long_tokens_is_homeless(&all);
    return TRUE;
}

static gboolean learn_bearer(IngotRemote *remote, const char *path, const Challenge *bearer, Pass *pass,
                             gboolean *again, GError **error)
{
    const char *realm = challenge_get(bearer, "realm");
    if (!long_token(remote, bearer, &pass->token, error)) {
        return FALSE;
    }
    if (pass->token != NULL) {
        *again = TRUE;
        return TRUE;
    }
    if (realm == NULL || !may_go_to(remote, realm)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "%s: it wants a login at %.200s, which is no https:// address: nothing is sent there", remote->host,
                    realm == NULL ? "no place" : realm);
        return FALSE;
    }
    pass->realm = g_strdup(realm);
    pass->service = g_strdup(challenge_get(bearer, "service"));
    pass->scope = g_strdup(challenge_get(bearer, "scope"));
    pass->url = token_url(pass);
    return find_login(remote, path, &pass->login, error) && fetch_token(remote, pass, NULL, again, error);
}

gboolean auth_learn(IngotRemote *remote, const char *method, const char *url, const char *challenges, gboolean *again,
                    GError **error)
{
    g_autoptr(GPtrArray) list = challenges_parse(challenges);
    const Challenge *bearer = challenges_find(list, "bearer");
    const char *path = own_path(remote, url);
    *again = FALSE;
    if (path == NULL || (bearer == NULL && challenges_find(list, "basic") == NULL)) {
        return TRUE;
    }
    remote->auth->asked = TRUE;
    g_autoptr(Pass) pass = g_new0(Pass, 1);
    if (bearer != NULL) {
        if (!learn_bearer(remote, path, bearer, pass, again, error)) {
            return FALSE;
        }
    } else if (!find_login(remote, path, &pass->login, error)) {
        return FALSE;
    } else if (pass->login != NULL && g_str_has_prefix(remote->base, "http:") &&
               !plain_is_trusted(remote->options, remote->host)) {
        return refuse_plain(remote, error);
    } else {
        *again = pass->login != NULL && pass->login->identity == NULL; /* that is for places of tokens alone */
    }
    if (*again) {
        passes_add(remote->auth, key_of(method, path), g_steal_pointer(&pass));
    }
    return TRUE;
}

#include <fcntl.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/ocidigest.h"
#include "image/architecture.h"
#include "image/hub.h"
#include "remote/failure.h"
#include "remote/http.h"
#include "remote/ours.h"
#include "remote/relay.h"

#define LIST_MAX (64u << 20)  /* bytes of a list of frames */
#define NAMES_MAX (16u << 20) /* bytes of a list of names, with all its pages */
#define PAGE_VALUES (1u << 18)
#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */
#define PAGES_MAX 10000       /* of one list */
#define PATIENCE_SECONDS 60

const char *ingot_remote_scheme(const IngotRemoteOptions *options, const char *host)
{
    static const IngotRemoteOptions usual = {0};
    return plain_is_asked(options == NULL ? &usual : options, host) ? "http" : "https";
}

static const char *skip_scheme(const char *where)
{
    return g_str_has_prefix(where, "https://")  ? where + strlen("https://")
           : g_str_has_prefix(where, "http://") ? where + strlen("http://")
                                                : where;
}

IngotRemote *ingot_remote_new(const char *where, const IngotRemoteOptions *options, GError **error)
{
    static gsize once;
    if (g_once_init_enter(&once)) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        g_once_init_leave(&once, 1);
    }
    if (options != NULL && !http_check_settings(options, error)) {
        return NULL;
    }
    g_autoptr(IngotRemote) remote = g_new0(IngotRemote, 1);
    remote->options = ingot_remote_options_copy(options);
    remote->host = g_strdup(skip_scheme(where));
    remote->base = hub_is(remote->host) && !g_str_has_prefix(where, "http:") ? g_strdup(HUB_BASE)
                   : remote->host[0] != '\0' && strcmp(remote->host, where) != 0
                       ? g_strdup(where)
                       : g_strdup_printf("%s://%s", ingot_remote_scheme(options, where), where);
    remote->patience = PATIENCE_SECONDS;
    remote->curl = curl_easy_init();
    remote->multi = curl_multi_init();
    remote->auth = auth_new();
    if (remote->curl == NULL || remote->multi == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "libcurl does not start");
        return NULL;
    }
    return g_steal_pointer(&remote);
}

const char *ingot_remote_architecture(const IngotRemote *remote)
{
    const char *asked = remote->options->architecture;
    return asked == NULL ? architecture_of_host() : architecture_word(asked);
}

void ingot_remote_while(IngotRemote *remote, gboolean (*goes_on)(gpointer user, GError **error), gpointer user)
{
    remote->goes_on = goes_on;
    remote->goes_on_user = user;
}

void ingot_remote_limit(IngotRemote *remote, guint connect, guint stall, guint patience)
{
    remote->connect = connect;
    remote->stall = stall;
    remote->patience = patience;
}

void ingot_remote_keep_uploads(IngotRemote *remote, const char *folder)
{
    g_free(remote->uploads);
    remote->uploads = g_strdup(folder);
}

IngotRemoteEnd ingot_remote_ended(const IngotRemote *remote)
{
    return remote->ended;
}

void ingot_remote_use(IngotRemote *remote, const IngotCredentials *credentials)
{
    auth_use(remote->auth, ingot_credentials_new(credentials->user, credentials->password));
}

void ingot_remote_free(IngotRemote *remote)
{
    if (remote != NULL) {
        curl_easy_cleanup(remote->curl);
        curl_multi_cleanup(remote->multi);
        auth_free(remote->auth);
        ingot_remote_options_free(remote->options);
        g_free(remote->called);
        json_decref(remote->said);
        json_decref(remote->base_said);
        g_free(remote->uploads);
        g_free(remote->host);
        g_free(remote->base);
        g_free(remote);
    }
}

void ingot_remote_call(IngotRemote *remote, const IngotDigest *digest, const char *text)
{
    g_free(remote->called);
    remote->called = g_strdup(text);
    remote->called_for = *digest;
}

char *http_digest_url(const IngotRemote *remote, const char *name, const char *kind, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    gboolean otherwise = remote->called != NULL && ingot_digest_equal(&remote->called_for, digest);
    return http_api_url(remote, name, kind, otherwise ? remote->called : text);
}

gboolean ingot_remote_login(IngotRemote *remote, const IngotCredentials *credentials, gboolean *asked, GError **error)
{
    ingot_remote_use(remote, credentials);
    g_auto(HttpExchange) get = {.method = "GET", .url = g_strdup_printf("%s/v2/", remote->base), .limit = ERROR_MAX};
    gboolean ok = http_exchange(remote, &get, error) && (get.status == 200 || http_refused(remote, &get, error));
    *asked = auth_was_asked(remote->auth);
    return ok;
}

static GBytes *take_answer(HttpExchange *exchange)
{
    return g_byte_array_free_to_bytes(g_steal_pointer(&exchange->answer));
}

/* Each type by its name: some registries don't read the wildcard, and convert what is not named to an older format,
 * which has another digest. */
#define ACCEPT_MANIFESTS                                                                                               \
    "Accept: " INGOT_TYPE_MANIFEST ", application/vnd.oci.image.index.v1+json,"                                        \
    " application/vnd.docker.distribution.manifest.v2+json,"                                                           \
    " application/vnd.docker.distribution.manifest.list.v2+json,"                                                      \
    " application/vnd.oci.artifact.manifest.v1+json, */*"

/* The headers of a request for a manifest. */
static const char *const *manifest_headers(const IngotRemote *remote)
{
    static const char *const usual[] = {ACCEPT_MANIFESTS, NULL};
    static const char *const all[] = {ACCEPT_MANIFESTS, LIFECYCLE_ALLOW_HEADER ": " LIFECYCLE_ALLOW, NULL};
    return remote->options->allow_revoked ? all : usual;
}

void ingot_remote_allow(IngotRemote *remote)
{
    remote->options->allow_revoked = TRUE;
}

const json_t *ingot_remote_said(const IngotRemote *remote)
{
    return remote->said;
}

const json_t *ingot_remote_said_of_base(const IngotRemote *remote)
{
    return remote->base_said;
}

gboolean ingot_remote_is_phased(const IngotRemote *remote)
{
    return remote->phased;
}

static json_t *said_in(const HttpExchange *answer, const char *header)
{
    g_autofree char *name = g_ascii_strdown(header, -1);
    const char *text = http_header(answer, name);
    return text == NULL ? NULL : lifecycle_read(text);
}

/* Notes what the answer says of the manifest. FALSE: it is withheld, and the error says by whom and why. */
static gboolean manifest_is_given(IngotRemote *remote, const HttpExchange *answer, GError **error)
{
    json_decref(remote->said);
    json_decref(remote->base_said);
    remote->said = said_in(answer, LIFECYCLE_HEADER);
    remote->base_said = said_in(answer, LIFECYCLE_BASE_HEADER);
    remote->phased = http_header(answer, "ingot-rollout") != NULL;
    if (answer->status != 403 || !lifecycle_withholds(remote->said)) {
        return TRUE;
    }
    g_autofree char *told = lifecycle_tell(remote->said);
    return failure_set(remote, answer->url, INGOT_ERROR_REFUSED, error,
                       "%s (--allow-revoked, or INGOT_ALLOW_REVOKED=1, takes it all the same)", told);
}

GBytes *ingot_remote_get_manifest(IngotRemote *remote, const char *name, const char *reference, IngotDescriptor *out,
                                  char **media_type, GError **error)
{
    g_auto(HttpExchange) get = {.method = "GET",
                                .url = http_api_url(remote, name, "manifests", reference),
                                .headers = manifest_headers(remote),
                                .limit = INGOT_MANIFEST_MAX};
    if (!http_exchange(remote, &get, error) || !manifest_is_given(remote, &get, error)) {
        return NULL;
    }
    if (get.status != 200) {
        http_refused(remote, &get, error);
        return NULL;
    }
    if (media_type != NULL) {
        *media_type = g_strdup(http_header(&get, "content-type"));
    }
    g_autoptr(GBytes) bytes = take_answer(&get);
    OciDigest wanted;
    out->size = g_bytes_get_size(bytes);
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &out->digest);
    if (oci_digest_parse(reference, &wanted, NULL) &&
        !oci_digest_fits(&wanted, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes))) {
        failure_set(remote, get.url, INGOT_ERROR_CORRUPT, error, "the manifest does not have the digest asked for");
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

gboolean ingot_remote_find_tag(IngotRemote *remote, const char *name, const char *tag, IngotDigest *digest,
                               gboolean *told, GError **error)
{
    g_auto(HttpExchange) head = {.method = "HEAD",
                                 .url = http_api_url(remote, name, "manifests", tag),
                                 .headers = manifest_headers(remote),
                                 .limit = ERROR_MAX};
    if (!http_exchange(remote, &head, error) || !manifest_is_given(remote, &head, error) ||
        (head.status != 200 && !http_refused(remote, &head, error))) {
        return FALSE;
    }
    const char *text = http_header(&head, "docker-content-digest");
    *told = text != NULL && ingot_digest_parse(text, digest, NULL);
    return TRUE;
}

/* condition: a header; NULL: none. */
static gboolean put_manifest(IngotRemote *remote, const char *name, const char *reference, const void *data, gsize size,
                             const char *media_type, const char *condition, GError **error)
{
    g_autofree char *type = g_strdup_printf("Content-Type: %s", media_type);
    const char *const headers[] = {type, condition, NULL};
    g_auto(HttpExchange) put = {.method = "PUT",
                                .url = http_api_url(remote, name, "manifests", reference),
                                .headers = headers,
                                .body = data,
                                .body_size = size,
                                .limit = ERROR_MAX};
    GError *problem = NULL;
    if (http_exchange(remote, &put, &problem) && (put.status == 201 || http_refused(remote, &put, &problem))) {
        return TRUE;
    }
    if (condition != NULL && (put.status == 409 || put.status == 412)) {
        problem->code = INGOT_ERROR_EXISTS;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean ingot_remote_put_manifest(IngotRemote *remote, const char *name, const char *reference, const void *data,
                                   gsize size, const char *media_type, GError **error)
{
    return put_manifest(remote, name, reference, data, size, media_type, NULL, error);
}

gboolean ingot_remote_replace_manifest(IngotRemote *remote, const char *name, const char *tag, const void *data,
                                       gsize size, const char *media_type, const IngotDigest *before, GError **error)
{
    char digest[INGOT_DIGEST_TEXT_SIZE] = "";
    if (before != NULL) {
        ingot_digest_write_text(before, digest);
    }
    g_autofree char *condition =
        before == NULL ? g_strdup("If-None-Match: *") : g_strdup_printf("If-Match: \"%s\"", digest);
    return put_manifest(remote, name, tag, data, size, media_type, condition, error);
}

/* The question whether a blob is there, not yet asked. */
static HttpExchange head_of_blob(const IngotRemote *remote, const char *name, const IngotDigest *digest)
{
    return (HttpExchange){.method = "HEAD", .url = http_digest_url(remote, name, "blobs", digest), .limit = ERROR_MAX};
}

gboolean ingot_remote_has_blob(IngotRemote *remote, const char *name, const IngotDigest *digest, gboolean *has,
                               GError **error)
{
    g_auto(HttpExchange) head = head_of_blob(remote, name, digest);
    if (!http_exchange(remote, &head, error)) {
        return FALSE;
    }
    *has = head.status == 200;
    return head.status == 200 || head.status == 404 || http_refused(remote, &head, error);
}

gboolean ingot_remote_blob_size(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 *size,
                                GError **error)
{
    g_auto(HttpExchange) head = head_of_blob(remote, name, digest);
    if (!http_exchange(remote, &head, error) || (head.status != 200 && !http_refused(remote, &head, error))) {
        return FALSE;
    }
    const char *length = http_header(&head, "content-length");
    if (length == NULL || !g_ascii_string_to_unsigned(length, 10, 0, G_MAXINT64, size, NULL)) {
        failure_set(remote, head.url, INGOT_ERROR_FAILED, error, "the registry does not tell its length");
        return FALSE;
    }
    return TRUE;
}

GBytes *ingot_remote_get_blob(IngotRemote *remote, const char *name, const IngotDigest *digest, gsize limit,
                              GError **error)
{
    g_auto(HttpExchange) get = {.method = "GET", .url = http_digest_url(remote, name, "blobs", digest), .limit = limit};
    if (!http_exchange(remote, &get, error) || (get.status != 200 && !http_refused(remote, &get, error))) {
        return NULL;
    }
    g_autoptr(GBytes) bytes = take_answer(&get);
    IngotDigest found;
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &found);
    if (!ingot_digest_equal(&found, digest)) {
        failure_set(remote, get.url, INGOT_ERROR_CORRUPT, error, "the bytes that came do not have that digest");
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

GBytes *ingot_remote_get_path(IngotRemote *remote, const char *path, gsize limit, GError **error)
{
    g_auto(HttpExchange) get = {.method = "GET", .url = g_strconcat(remote->base, path, NULL), .limit = limit};
    return http_exchange(remote, &get, error) && (get.status == 200 || http_refused(remote, &get, error))
               ? take_answer(&get)
               : NULL;
}

gboolean ingot_remote_get_frames(IngotRemote *remote, const char *name, const IngotDigest *digest, GBytes **frames,
                                 GError **error)
{
    g_auto(HttpExchange) head = head_of_blob(remote, name, digest);
    *frames = NULL;
    if (!http_exchange(remote, &head, error) || (head.status != 200 && !http_refused(remote, &head, error))) {
        return FALSE;
    }
    const char *where = http_header(&head, "ingot-frames");
    if (where == NULL) {
        return TRUE;
    }
    g_auto(HttpExchange) get = {.method = "GET", .url = http_location(remote, &head, where, NULL), .limit = LIST_MAX};
    if (get.url == NULL) { /* the blob can be had without it */
        return TRUE;
    }
    GError *problem = NULL;
    gboolean came = http_exchange(remote, &get, &problem);
    if (!came && !get.too_large) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    *frames = came && get.status == 200 ? take_answer(&get) : NULL;
    /* One that forbids the list alone gives the blob all the same. */
    gboolean is_none = !came || (get.status != 401 && !patience_is_passing(get.status));
    return is_none || http_refused(remote, &get, error);
}

/* --- lists --- */

/* Adds what one page names. FALSE: it is none, which is not to say that there is nothing. */
static gboolean list_add(const IngotRemote *remote, GStrvBuilder *all, const HttpExchange *page, const char *key,
                         GError **error)
{
    gsize room = PAGE_VALUES;
    g_autoptr(json_t) body = failure_parse(remote, page->url, page->answer, &room, error);
    if (body == NULL) {
        return FALSE;
    }
    const json_t *values = json_object_get(body, key);
    gboolean is_list = json_is_array(values) || json_is_null(values);
    for (size_t i = 0; is_list && i < json_array_size(values); i++) {
        const char *one = json_string_value(json_array_get(values, i));
        is_list = one != NULL;
        if (is_list) {
            g_strv_builder_add(all, one);
        }
    }
    if (!is_list) {
        failure_set(remote, page->url, INGOT_ERROR_FAILED, error, "the answer is no list of %s", key);
    }
    return is_list;
}

static char **list(IngotRemote *remote, char *first, const char *key, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    g_autofree char *url = first;
    gsize room = NAMES_MAX;
    for (guint pages = 0; url != NULL; pages++) {
        if (pages == PAGES_MAX || room == 0) {
            failure_set(remote, url, INGOT_ERROR_FAILED, error, "the list has no end");
            return NULL;
        }
        g_auto(HttpExchange) get = {.method = "GET", .url = g_steal_pointer(&url), .limit = room};
        if (!http_exchange(remote, &get, error) || (get.status != 200 && !http_refused(remote, &get, error)) ||
            !list_add(remote, all, &get, key, error) || !http_next_page(remote, &get, &url, error)) {
            return NULL;
        }
        room -= get.answer->len;
    }
    return g_strv_builder_end(all);
}

char **ingot_remote_list_names(IngotRemote *remote, GError **error)
{
    return list(remote, g_strdup_printf("%s/v2/_catalog", remote->base), "repositories", error);
}

char **ingot_remote_list_tags(IngotRemote *remote, const char *name, GError **error)
{
    return list(remote, http_api_url(remote, name, "tags", "list"), "tags", error);
}

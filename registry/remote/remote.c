#include <fcntl.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <string.h>

#include "remote/http.h"

#define LIST_MAX (64u << 20)  /* bytes of one page */
#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */

const char *ingot_remote_scheme(const char *host)
{
    return http_is_loopback(host) && http_ca() == NULL ? "http" : "https";
}

IngotRemote *ingot_remote_new(const char *host, GError **error)
{
    static gsize once;
    if (g_once_init_enter(&once)) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        g_once_init_leave(&once, 1);
    }
    if (http_ca() != NULL && !g_file_test(http_ca(), G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--ca %s: there is no such file", http_ca());
        return NULL;
    }
    g_autoptr(IngotRemote) remote = g_new0(IngotRemote, 1);
    remote->host = g_strdup(host);
    remote->base = g_strdup_printf("%s://%s", ingot_remote_scheme(host), host);
    remote->curl = curl_easy_init();
    remote->multi = curl_multi_init();
    remote->auth = auth_new();
    if (remote->curl == NULL || remote->multi == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "libcurl does not start");
        return NULL;
    }
    return g_steal_pointer(&remote);
}

void ingot_remote_free(IngotRemote *remote)
{
    if (remote != NULL) {
        curl_easy_cleanup(remote->curl);
        curl_multi_cleanup(remote->multi);
        auth_free(remote->auth);
        g_free(remote->host);
        g_free(remote->base);
        g_free(remote);
    }
}

gboolean ingot_remote_login(IngotRemote *remote, const IngotCredentials *credentials, gboolean *asked, GError **error)
{
    auth_use(remote->auth, ingot_credentials_new(credentials->user, credentials->password));
    g_auto(HttpExchange) get = {.method = "GET", .url = g_strdup_printf("%s/v2/", remote->base), .limit = ERROR_MAX};
    gboolean ok = http_exchange(remote, &get, error) && (get.status == 200 || http_refused(&get, error));
    *asked = auth_was_asked(remote->auth);
    return ok;
}

static GBytes *take_answer(HttpExchange *exchange)
{
    return g_byte_array_free_to_bytes(g_steal_pointer(&exchange->answer));
}

GBytes *ingot_remote_get_manifest(IngotRemote *remote, const char *name, const char *reference, IngotDescriptor *out,
                                  char **media_type, GError **error)
{
    static const char *const accept[] = {
        "Accept: " INGOT_TYPE_MANIFEST ", application/vnd.oci.image.index.v1+json, */*", NULL};
    g_auto(HttpExchange) get = {.method = "GET",
                                .url = http_api_url(remote, name, "manifests", reference),
                                .headers = accept,
                                .limit = INGOT_MANIFEST_MAX};
    if (!http_exchange(remote, &get, error)) {
        return NULL;
    }
    if (get.status != 200) {
        http_refused(&get, error);
        return NULL;
    }
    if (media_type != NULL) {
        *media_type = g_strdup(http_header(&get, "content-type"));
    }
    g_autoptr(GBytes) bytes = take_answer(&get);
    IngotDigest wanted;
    out->size = g_bytes_get_size(bytes);
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &out->digest);
    if (ingot_digest_parse(reference, &wanted, NULL) && !ingot_digest_equal(&wanted, &out->digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the manifest does not have the digest asked for",
                    get.url);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

gboolean ingot_remote_put_manifest(IngotRemote *remote, const char *name, const char *reference, const void *data,
                                   gsize size, const char *media_type, GError **error)
{
    g_autofree char *type = g_strdup_printf("Content-Type: %s", media_type);
    const char *const headers[] = {type, NULL};
    g_auto(HttpExchange) put = {.method = "PUT",
                                .url = http_api_url(remote, name, "manifests", reference),
                                .headers = headers,
                                .body = data,
                                .body_size = size,
                                .limit = ERROR_MAX};
    return http_exchange(remote, &put, error) && (put.status == 201 || http_refused(&put, error));
}

/* The question whether a blob is there, not yet asked. */
static HttpExchange head_of_blob(const IngotRemote *remote, const char *name, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    return (HttpExchange){.method = "HEAD", .url = http_api_url(remote, name, "blobs", text), .limit = ERROR_MAX};
}

gboolean ingot_remote_has_blob(IngotRemote *remote, const char *name, const IngotDigest *digest, gboolean *has,
                               GError **error)
{
    g_auto(HttpExchange) head = head_of_blob(remote, name, digest);
    if (!http_exchange(remote, &head, error)) {
        return FALSE;
    }
    *has = head.status == 200;
    return head.status == 200 || head.status == 404 || http_refused(&head, error);
}

gboolean ingot_remote_blob_size(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 *size,
                                GError **error)
{
    g_auto(HttpExchange) head = head_of_blob(remote, name, digest);
    if (!http_exchange(remote, &head, error) || (head.status != 200 && !http_refused(&head, error))) {
        return FALSE;
    }
    const char *length = http_header(&head, "content-length");
    if (length == NULL || !g_ascii_string_to_unsigned(length, 10, 0, G_MAXINT64, size, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: the registry does not tell its length", head.url);
        return FALSE;
    }
    return TRUE;
}

GBytes *ingot_remote_get_blob(IngotRemote *remote, const char *name, const IngotDigest *digest, gsize limit,
                              GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    g_auto(HttpExchange) get = {.method = "GET", .url = http_api_url(remote, name, "blobs", text), .limit = limit};
    if (!http_exchange(remote, &get, error) || (get.status != 200 && !http_refused(&get, error))) {
        return NULL;
    }
    g_autoptr(GBytes) bytes = take_answer(&get);
    IngotDigest found;
    ingot_digest_of(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &found);
    if (!ingot_digest_equal(&found, digest)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the bytes that came do not have that digest",
                    get.url);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

GBytes *ingot_remote_get_path(IngotRemote *remote, const char *path, gsize limit, GError **error)
{
    g_auto(HttpExchange) get = {.method = "GET", .url = g_strconcat(remote->base, path, NULL), .limit = limit};
    return http_exchange(remote, &get, error) && (get.status == 200 || http_refused(&get, error)) ? take_answer(&get)
                                                                                                  : NULL;
}

gboolean ingot_remote_get_frames(IngotRemote *remote, const char *name, const IngotDigest *digest, GBytes **frames,
                                 GError **error)
{
    g_auto(HttpExchange) head = head_of_blob(remote, name, digest);
    *frames = NULL;
    if (!http_exchange(remote, &head, error) || (head.status != 200 && !http_refused(&head, error))) {
        return FALSE;
    }
    const char *path = http_header(&head, "ingot-frames");
    if (path == NULL || path[0] != '/') {
        return TRUE;
    }
    g_auto(HttpExchange) get = {.method = "GET", .url = g_strconcat(remote->base, path, NULL), .limit = LIST_MAX};
    if (!http_exchange(remote, &get, error) || (get.status != 200 && !http_refused(&get, error))) {
        return FALSE;
    }
    *frames = take_answer(&get);
    return TRUE;
}

/* --- lists --- */

/* The next page's URL out of Link: <URL>; rel="next". NULL: this was the last. */
static char *next_page(const IngotRemote *remote, const HttpExchange *exchange)
{
    const char *link = http_header(exchange, "link");
    const char *end = link == NULL || link[0] != '<' ? NULL : strchr(link, '>');
    if (end == NULL || strstr(end, "next") == NULL) {
        return NULL;
    }
    g_autofree char *target = g_strndup(link + 1, (gsize)(end - link - 1));
    return target[0] == '/' ? g_strconcat(remote->base, target, NULL) : g_steal_pointer(&target);
}

static char **list(IngotRemote *remote, char *first, const char *key, GError **error)
{
    g_autoptr(GStrvBuilder) all = g_strv_builder_new();
    g_autofree char *url = first;
    while (url != NULL) {
        g_auto(HttpExchange) get = {.method = "GET", .url = g_steal_pointer(&url), .limit = LIST_MAX};
        if (!http_exchange(remote, &get, error) || (get.status != 200 && !http_refused(&get, error))) {
            return NULL;
        }
        g_autoptr(json_t) body = ingot_json_parse(get.answer->data, get.answer->len, get.url, error);
        if (body == NULL) {
            return NULL;
        }
        const json_t *values = json_object_get(body, key);
        for (size_t i = 0; i < json_array_size(values); i++) {
            const char *one = json_string_value(json_array_get(values, i));
            if (one != NULL) {
                g_strv_builder_add(all, one);
            }
        }
        url = next_page(remote, &get);
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

/* Where the API is missing, the fallback tag "sha256-HEX" names the list (distribution-spec, "Referrers Tag Schema").
 */

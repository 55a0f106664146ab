/* What is attached to a manifest: the referrers API of distribution-spec 1.1, or, where a registry lacks it, the tag
 * schema that the specification keeps for those ("Referrers Tag Schema"). */
#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "remote/failure.h"
#include "remote/http.h"

#define LIST_MAX (16u << 20) /* bytes, with all its pages */
#define LIST_VALUES (1u << 17)
#define PAGES_MAX 1000
#define ERROR_MAX (64u << 10)
#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"

/* sha256-HEX: the tag under which a registry without the API keeps the list; of a longer digest the first 64 digits. */
static char *fallback_tag(const IngotRemote *remote, const IngotDigest *subject)
{
    gboolean otherwise = remote->called != NULL && ingot_digest_equal(&remote->called_for, subject);
    char *text = otherwise ? g_strndup(remote->called, strlen("sha256-") + 64) : ingot_digest_to_text(subject);
    text[strlen("sha256")] = '-';
    return text;
}

typedef enum { PAGE_TAKEN, PAGE_NONE, PAGE_FAILED } PageResult;

/* Whether the registry may answer the same otherwise in a while: then nothing is known of what it has. One that does
 * not know the path may say that it is not implemented. */
static gboolean is_passing(long status)
{
    return status == 429 || (status >= 500 && status != 501);
}

/* Adds the entries of one page. NONE: this is not a list: a page that asks to log in, say, which some registries answer
 * to what they don't know. */
static PageResult add_page(IngotRemote *remote, json_t *list, gsize *room, const HttpExchange *page, GError **error)
{
    g_autoptr(GError) problem = NULL;
    if (is_passing(page->status)) {
        http_refused(remote, page, error);
        return PAGE_FAILED;
    }
    g_autofree char *subject = failure_subject(remote, page->url);
    g_autoptr(json_t) body =
        page->status != 200 ? NULL
                            : ingot_json_parse_within(page->answer->data, page->answer->len, subject, room, &problem);
    json_t *manifests = json_object_get(body, "manifests");
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return PAGE_FAILED;
    }
    return json_is_array(manifests) && json_array_extend(list, manifests) == 0 ? PAGE_TAKEN : PAGE_NONE;
}

/* Adds the list that begins at a URL, page by page; *known FALSE where there is none. Where it fails, what came before
 * stays. */
static gboolean get_list(IngotRemote *remote, char *first, json_t *list, gboolean *known, GError **error)
{
    static const char *const accept[] = {"Accept: " INDEX_TYPE, NULL};
    g_autofree char *url = first;
    gsize room = LIST_MAX, values = LIST_VALUES;
    *known = FALSE;
    for (guint pages = 0; url != NULL; pages++) {
        if (pages == PAGES_MAX || room == 0) {
            failure_set(remote, url, INGOT_ERROR_FAILED, error, "the list has no end");
            return FALSE;
        }
        g_auto(HttpExchange) get = {.method = "GET", .url = g_steal_pointer(&url), .headers = accept, .limit = room};
        if (!http_exchange(remote, &get, error)) {
            return FALSE;
        }
        PageResult result = add_page(remote, list, &values, &get, error);
        if (result == PAGE_NONE && pages > 0) {
            failure_set(remote, get.url, INGOT_ERROR_FAILED, error, "the list breaks off (status %ld)", get.status);
        }
        if (result == PAGE_FAILED || (result == PAGE_NONE && pages > 0)) {
            return FALSE;
        }
        room -= get.answer->len;
        *known = result == PAGE_TAKEN;
        if (*known && !http_next_page(remote, &get, &url, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

json_t *ingot_remote_some_referrers(IngotRemote *remote, const char *name, const IngotDigest *subject, GError **problem)
{
    gboolean known = FALSE;
    json_t *list = json_array();
    if (get_list(remote, http_digest_url(remote, name, "referrers", subject), list, &known, problem) && !known) {
        g_autofree char *tag = fallback_tag(remote, subject);
        get_list(remote, http_api_url(remote, name, "manifests", tag), list, &known, problem);
    }
    return list;
}

json_t *ingot_remote_referrers(IngotRemote *remote, const char *name, const IngotDigest *subject, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(json_t) list = ingot_remote_some_referrers(remote, name, subject, &problem);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    return g_steal_pointer(&list);
}

static gboolean list_has(const json_t *list, const char *digest)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (g_strcmp0(json_string_value(json_object_get(json_array_get(list, i), "digest")), digest) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean add_to_tag(IngotRemote *remote, const char *name, const IngotDigest *subject, const char *digest,
                           gsize size, const char *artifact_type, GError **error)
{
    gboolean known;
    g_autofree char *tag = fallback_tag(remote, subject);
    g_autoptr(json_t) list = json_array();
    if (!get_list(remote, http_api_url(remote, name, "manifests", tag), list, &known, error)) {
        return FALSE;
    }
    if (list_has(list, digest)) {
        return TRUE;
    }
    json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:s}", "mediaType", INGOT_TYPE_MANIFEST, "digest", digest,
                                          "size", (json_int_t)size, "artifactType", artifact_type));
    g_autoptr(json_t) index =
        json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", INDEX_TYPE, "manifests", list);
    g_autofree char *text = ingot_json_canonical(index);
    return ingot_remote_put_manifest(remote, name, tag, text, strlen(text), INDEX_TYPE, error);
}

gboolean ingot_remote_attach(IngotRemote *remote, const char *name, const IngotDigest *subject, const char *digest,
                             const char *artifact_type, const void *data, gsize size, GError **error)
{
    static const char *const headers[] = {"Content-Type: " INGOT_TYPE_MANIFEST, NULL};
    g_auto(HttpExchange) put = {.method = "PUT",
                                .url = http_api_url(remote, name, "manifests", digest),
                                .headers = headers,
                                .body = data,
                                .body_size = size,
                                .limit = ERROR_MAX};
    if (!http_exchange(remote, &put, error)) {
        return FALSE;
    }
    if (put.status != 201) {
        return http_refused(remote, &put, error);
    }
    /* A registry that knows subjects says so; else the list is ours to keep. */
    return http_header(&put, "oci-subject") != NULL ||
           add_to_tag(remote, name, subject, digest, size, artifact_type, error);
}

/* What is attached to a manifest: the referrers API of distribution-spec 1.1, or, where a registry lacks it, the tag
 * schema that the specification keeps for those ("Referrers Tag Schema"). */
#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "remote/failure.h"
#include "remote/http.h"
#include "remote/together.h"

#define LIST_MAX (16u << 20) /* bytes, with all its pages */
#define LIST_VALUES (1u << 17)
#define PAGES_MAX 1000
#define ERROR_MAX (64u << 10)
#define WRITES_MOST 6 /* of a list that others write too */

/* sha256-HEX: the tag under which a registry without the API keeps the list; of a longer digest the first 64 digits. */
static char *fallback_tag(const IngotRemote *remote, const IngotDigest *subject)
{
    gboolean otherwise = remote->called != NULL && ingot_digest_equal(&remote->called_for, subject);
    char *text = otherwise ? g_strndup(remote->called, strlen("sha256-") + 64) : ingot_digest_to_text(subject);
    text[strlen("sha256")] = '-';
    return text;
}

typedef enum { PAGE_TAKEN, PAGE_NONE, PAGE_FAILED } PageResult;

/* Whether a registry that answers the referrers API with this status does not know it. Any other status says nothing of
 * what is attached: the registry refuses, is busy, or has failed. */
static gboolean is_unknown_api(long status)
{
    return status == 400 || status == 404 || status == 405 || status == 501;
}

/* Some registries answer what they don't know with a page of theirs. */
static gboolean is_json(const HttpExchange *page)
{
    const char *data = (const char *)page->answer->data;
    gsize at = 0;
    while (at < page->answer->len && g_ascii_isspace(data[at])) {
        at++;
    }
    return at < page->answer->len && data[at] == '{';
}

static json_t *parse_page(IngotRemote *remote, const HttpExchange *page, gsize *room, GError **error)
{
    return failure_parse(remote, page->url, page->answer, room, error);
}

/* Adds the entries of one page. NONE: this is not a list, as the registry does not know of any. */
static PageResult add_page(IngotRemote *remote, json_t *list, gsize *room, const HttpExchange *page, GError **error)
{
    if (is_unknown_api(page->status) || (page->status == 200 && !is_json(page))) {
        return PAGE_NONE;
    }
    if (page->status != 200) {
        http_refused(remote, page, error);
        return PAGE_FAILED;
    }
    g_autoptr(json_t) body = parse_page(remote, page, room, error);
    json_t *manifests = json_object_get(body, "manifests");
    if (body == NULL) {
        return PAGE_FAILED;
    }
    return json_is_array(manifests) && json_array_extend(list, manifests) == 0 ? PAGE_TAKEN : PAGE_NONE;
}

/* Adds the list of the API that begins at a URL, page by page; *known FALSE where the registry does not know the API.
 * Where it fails, what came before stays. */
static gboolean get_list(IngotRemote *remote, char *first, json_t *list, gboolean *known, GError **error)
{
    static const char *const accept[] = {"Accept: " INGOT_TYPE_LIST, NULL};
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

/* *index: what the fallback tag of a subject names; NULL where there is no such tag, which 404 alone says. *etag (free
 * it; may be NULL): by what it can be told from another one; NULL: the registry does not say. */
static gboolean get_tag(IngotRemote *remote, const char *name, const char *tag, json_t **index, char **etag,
                        GError **error)
{
    static const char *const accept[] = {"Accept: " INGOT_TYPE_LIST, NULL};
    gsize values = LIST_VALUES;
    g_auto(HttpExchange) get = {
        .method = "GET", .url = http_api_url(remote, name, "manifests", tag), .headers = accept, .limit = LIST_MAX};
    *index = NULL;
    if (!http_exchange(remote, &get, error)) {
        return FALSE;
    }
    if (get.status != 200) {
        return get.status == 404 || http_refused(remote, &get, error);
    }
    *index = parse_page(remote, &get, &values, error);
    if (etag != NULL) {
        *etag = g_strdup(http_header(&get, "etag"));
    }
    return *index != NULL;
}

/* A tag that names something else than a list lists nothing. */
static gboolean add_tag(IngotRemote *remote, const char *name, const IngotDigest *subject, json_t *list, GError **error)
{
    g_autofree char *tag = fallback_tag(remote, subject);
    g_autoptr(json_t) index = NULL;
    if (!get_tag(remote, name, tag, &index, NULL, error)) {
        return FALSE;
    }
    json_t *manifests = json_object_get(index, "manifests");
    return !json_is_array(manifests) || json_array_extend(list, manifests) == 0;
}

json_t *ingot_remote_some_referrers(IngotRemote *remote, const char *name, const IngotDigest *subject, GError **problem)
{
    gboolean known = FALSE;
    json_t *list = json_array();
    if (get_list(remote, http_digest_url(remote, name, "referrers", subject), list, &known, problem) && !known) {
        add_tag(remote, name, subject, list, problem);
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

/* Whether a manifest is a list that may be written anew with one entry more. */
static gboolean is_list(const json_t *index)
{
    const json_t *type = json_object_get(index, "mediaType");
    return json_is_array(json_object_get(index, "manifests")) &&
           (type == NULL || g_strcmp0(json_string_value(type), INGOT_TYPE_LIST) == 0);
}

/* The list under the fallback tag of a subject, as it was read, and what is to be in it. */
typedef struct {
    IngotRemote *remote;
    const char *name;
    char *tag;
    const json_t *listed;
    json_t *index; /* NULL: there was none */
    char *etag;    /* NULL: none was given */
    char *refused; /* the last condition on which the registry would not write; NULL: none */
} Listing;

static void listing_clear(Listing *listing)
{
    g_clear_pointer(&listing->index, json_decref);
    g_clear_pointer(&listing->etag, g_free);
    g_clear_pointer(&listing->tag, g_free);
    g_clear_pointer(&listing->refused, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Listing, listing_clear)

/* For together_write. */
static gboolean listing_read(gpointer user, gboolean *has, GError **error)
{
    Listing *listing = user;
    g_clear_pointer(&listing->index, json_decref);
    g_clear_pointer(&listing->etag, g_free);
    if (!get_tag(listing->remote, listing->name, listing->tag, &listing->index, &listing->etag, error)) {
        return FALSE;
    }
    if (listing->index != NULL && !is_list(listing->index)) {
        g_autofree char *url = http_api_url(listing->remote, listing->name, "manifests", listing->tag);
        return failure_set(listing->remote, url, INGOT_ERROR_FAILED, error,
                           "it is not a list of what is attached, and is not replaced by one");
    }
    *has = list_has(json_object_get(listing->index, "manifests"),
                    json_string_value(json_object_get(listing->listed, "digest")));
    return TRUE;
}

/* Only over what was read, where the registry can tell that (free it). A weak tag is none: it never counts for that.
 * One that was refused, and is still what is there, is not understood. */
static char *listing_condition(const Listing *listing)
{
    gboolean strong = listing->etag != NULL && listing->etag[0] == '"';
    g_autofree char *condition = listing->index == NULL ? g_strdup("If-None-Match: *")
                                 : strong               ? g_strconcat("If-Match: ", listing->etag, NULL)
                                                        : NULL;
    return g_strcmp0(condition, listing->refused) == 0 ? NULL : g_steal_pointer(&condition);
}

/* The list with this entry too, in its place. Another one may be there by now: that is not an error. */
static gboolean listing_write(gpointer user, GError **error)
{
    Listing *listing = user;
    g_autofree char *condition = listing_condition(listing);
    const char *const headers[] = {"Content-Type: " INGOT_TYPE_LIST, condition, NULL};
    g_autoptr(json_t) index = listing->index != NULL ? json_deep_copy(listing->index)
                                                     : json_pack("{s:i, s:s, s:[]}", "schemaVersion", 2, "mediaType",
                                                                 INGOT_TYPE_LIST, "manifests");
    json_array_append_new(json_object_get(index, "manifests"), json_copy((json_t *)listing->listed));
    g_autofree char *text = ingot_json_canonical(index);
    g_auto(HttpExchange) put = {.method = "PUT",
                                .url = http_api_url(listing->remote, listing->name, "manifests", listing->tag),
                                .headers = headers,
                                .body = text,
                                .body_size = strlen(text),
                                .limit = ERROR_MAX};
    if (!http_exchange(listing->remote, &put, error)) {
        return FALSE;
    }
    if (put.status == 412 && condition != NULL) {
        g_free(listing->refused);
        listing->refused = g_steal_pointer(&condition);
        return TRUE;
    }
    return put.status == 201 || http_refused(listing->remote, &put, error);
}

/* Sees to it that the list under the fallback tag has this entry too. What the registry has there must have been read
 * for that: it holds what others have attached. */
static gboolean add_to_tag(IngotRemote *remote, const char *name, const IngotDigest *subject, const json_t *listed,
                           GError **error)
{
    g_auto(Listing) listing = {.remote = remote, .name = name, .tag = fallback_tag(remote, subject), .listed = listed};
    const Together work = {listing_read, listing_write, &listing};
    gboolean has;
    if (!together_write(remote, &work, WRITES_MOST, &has, error)) {
        return FALSE;
    }
    if (has) {
        return TRUE;
    }
    g_autofree char *url = http_api_url(remote, name, "manifests", listing.tag);
    return failure_set(remote, url, INGOT_ERROR_FAILED, error,
                       "it was written %u times, and never had what is attached: others write it, too", WRITES_MOST);
}

gboolean ingot_remote_attach(IngotRemote *remote, const char *name, const IngotDigest *subject, const json_t *listed,
                             const void *data, gsize size, GError **error)
{
    const char *digest = json_string_value(json_object_get(listed, "digest"));
    const char *media_type = json_string_value(json_object_get(listed, "mediaType"));
    g_return_val_if_fail(digest != NULL && media_type != NULL, FALSE);
    g_autofree char *type = g_strdup_printf("Content-Type: %s", media_type);
    const char *const headers[] = {type, NULL};
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
    return http_header(&put, "oci-subject") != NULL || add_to_tag(remote, name, subject, listed, error);
}

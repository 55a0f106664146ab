#include "remote/location.h"

#include <curl/curl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "remote/http.h"

#define SHOWN 200 /* bytes of a peer's text in a message */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURLU, curl_url_cleanup)

/* NULL: it is none. Free it. */
static char *part(CURLU *url, CURLUPart what)
{
    char *text = NULL;
    char *copy = curl_url_get(url, what, &text, what == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) == CURLUE_OK
                     ? g_strdup(text)
                     : NULL;
    curl_free(text);
    return copy;
}

/* text as seen from another URL (NULL: it stands for itself); NULL: it is no URL. */
static CURLU *parse(const char *from, const char *text)
{
    g_autoptr(CURLU) url = curl_url();
    gboolean ok = (from == NULL || curl_url_set(url, CURLUPART_URL, from, 0) == CURLUE_OK) &&
                  curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
                  curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK;
    return ok ? g_steal_pointer(&url) : NULL;
}

static gboolean is_same(CURLU *a, CURLU *b, CURLUPart what)
{
    g_autofree char *first = part(a, what), *second = part(b, what);
    return first != NULL && second != NULL && g_ascii_strcasecmp(first, second) == 0;
}

/* What stands behind the host, as it is sent. Free it. */
static char *path_of(CURLU *url)
{
    g_autofree char *path = part(url, CURLUPART_PATH), *query = part(url, CURLUPART_QUERY);
    return g_strconcat(path == NULL ? "/" : path, query == NULL ? NULL : "?", query, NULL);
}

static gboolean refuse(GError **error, const char *text, const char *why)
{
    g_autofree char *head = ingot_text_head(text, SHOWN), *shown = ingot_text_line(head);
    g_autofree char *url = ingot_text_url(shown);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the registry leads to %s: %s", url, why);
    return FALSE;
}

static gboolean is_trusted(const IngotRemoteOptions *options, CURLU *url)
{
    g_autofree char *host = part(url, CURLUPART_HOST), *port = part(url, CURLUPART_PORT);
    g_autofree char *full = g_strdup_printf("%s:%s", host, port);
    return plain_is_trusted(options, full);
}

/* Whether what is sent there is as safe as it was on its way to the registry. */
static gboolean check(const IngotRemoteOptions *options, CURLU *base, CURLU *url, const char *text, GError **error)
{
    g_autofree char *scheme = part(url, CURLUPART_SCHEME), *host = part(url, CURLUPART_HOST);
    g_autofree char *user = part(url, CURLUPART_USER), *password = part(url, CURLUPART_PASSWORD);
    gboolean is_plain = g_strcmp0(scheme, "http") == 0;
    if (host == NULL || (!is_plain && g_strcmp0(scheme, "https") != 0)) {
        return refuse(error, text, "that is no http:// or https:// address");
    }
    if (user != NULL || password != NULL) {
        return refuse(error, text, "an address with a login in it is not followed");
    }
    g_autofree char *own = part(base, CURLUPART_SCHEME);
    if (is_plain && g_strcmp0(own, "https") == 0) {
        return refuse(error, text,
                      "nothing is sent there, as it is spoken to by HTTPS; one behind a proxy needs to be told so "
                      "(X-Forwarded-Proto)");
    }
    if (is_plain && !is_same(base, url, CURLUPART_HOST) && !is_trusted(options, url)) {
        return refuse(error, text, "nothing is sent to another host by plain HTTP");
    }
    return TRUE;
}

char *location_resolve(const IngotRemoteOptions *options, const char *base, const char *asked, const char *text,
                       GError **error)
{
    g_autoptr(CURLU) own = parse(NULL, base);
    g_autoptr(CURLU) url = parse(asked, text);
    if (own == NULL || url == NULL) {
        refuse(error, text, "that is no address");
        return NULL;
    }
    if (!check(options, own, url, text, error)) {
        return NULL;
    }
    if (is_same(own, url, CURLUPART_SCHEME) && is_same(own, url, CURLUPART_HOST) && is_same(own, url, CURLUPART_PORT)) {
        g_autofree char *path = path_of(url);
        return g_strconcat(base, path, NULL);
    }
    return part(url, CURLUPART_URL);
}

/* --- pages --- */

/* What the header names as the next page; NULL: nothing. */
static char *next_link(const char *links)
{
    for (const char *at = links; at != NULL && (at = strchr(at, '<')) != NULL;) {
        const char *end = strchr(at, '>');
        const char *after = end == NULL ? NULL : strchr(end, '<'); /* of the next link */
        g_autofree char *about =
            end == NULL ? NULL : g_strndup(end, after == NULL ? strlen(end) : (gsize)(after - end));
        if (about != NULL &&
            g_regex_match_simple(";\\s*rel\\s*=\\s*\"?[^\",;]*\\bnext\\b", about, G_REGEX_CASELESS | G_REGEX_RAW, 0)) {
            return g_strndup(at + 1, (gsize)(end - at - 1));
        }
        at = after;
    }
    return NULL;
}

gboolean location_next_page(const char *base, const char *asked, const char *links, char **next, GError **error)
{
    g_autofree char *link = next_link(links);
    *next = NULL;
    if (link == NULL) {
        return TRUE;
    }
    g_autoptr(CURLU) from = parse(NULL, asked);
    g_autoptr(CURLU) url = parse(asked, link);
    /* The same path and query at our own address, where the link is of the host that was asked or leads to the same
     * list by another name of it. */
    if (from == NULL || url == NULL || (!is_same(from, url, CURLUPART_HOST) && !is_same(from, url, CURLUPART_PATH))) {
        return refuse(error, link, "the list goes on there, which is not followed");
    }
    g_autofree char *path = path_of(url);
    g_autofree char *page = g_strconcat(base, path, NULL);
    if (strcmp(page, asked) == 0) {
        return refuse(error, link, "the list has no end, as this page follows itself");
    }
    *next = g_steal_pointer(&page);
    return TRUE;
}

#include "remote/plain.h"

#include <curl/curl.h>
#include <gio/gio.h>
#include <string.h>

#define NONE "none"
#define GREETING_SECONDS 5L

/* Without ":80", which is the scheme's own. Free it. */
static char *plain_name(const char *host)
{
    gsize length = strlen(host) - (g_str_has_suffix(host, ":80") ? strlen(":80") : 0);
    return g_ascii_strdown(host, (gssize)length);
}

static gboolean options_have(const IngotRemoteOptions *options, const char *word)
{
    const char *text = options->plain_http == NULL ? "" : options->plain_http;
    g_auto(GStrv) words = g_strsplit_set(text, ", \t\n", -1);
    g_autofree char *wanted = plain_name(word);
    for (guint i = 0; words[i] != NULL; i++) {
        g_autofree char *one = plain_name(words[i]);
        if (*one != '\0' && strcmp(one, wanted) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean http_is_loopback(const char *host)
{
    const char *colon = strrchr(host, ':');
    gboolean has_port = colon != NULL && colon[1] != '\0' && colon[1 + strspn(colon + 1, "0123456789")] == '\0' &&
                        (host[0] != '[' || colon[-1] == ']');
    g_autofree char *name = g_strndup(host, has_port ? (gsize)(colon - host) : strlen(host));
    gsize length = strlen(name);
    if (name[0] == '[' && name[length - 1] == ']') {
        name[length - 1] = '\0';
        g_autoptr(GInetAddress) six = g_inet_address_new_from_string(name + 1);
        return six != NULL && g_inet_address_get_is_loopback(six);
    }
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);
    return g_ascii_strcasecmp(name, "localhost") == 0 || (address != NULL && g_inet_address_get_is_loopback(address));
}

gboolean plain_is_named(const IngotRemoteOptions *options, const char *host)
{
    return strcmp(host, NONE) != 0 && options_have(options, host);
}

gboolean plain_is_trusted(const IngotRemoteOptions *options, const char *host)
{
    return http_is_loopback(host) || plain_is_named(options, host);
}

/* Whether a TLS handshake succeeds there, with whatever certificate: nothing is sent, so nothing is trusted yet. */
static gboolean greets_by_tls(const char *host)
{
    g_autofree char *url = g_strconcat("https://", host, "/", NULL);
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        return FALSE;
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, GREETING_SECONDS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    gboolean greets = curl_easy_perform(curl) == CURLE_OK;
    curl_easy_cleanup(curl);
    return greets;
}

gboolean plain_is_asked(const IngotRemoteOptions *options, const char *host)
{
    return plain_is_named(options, host) ||
           (http_is_loopback(host) && !options_have(options, NONE) && (options->ca == NULL || !greets_by_tls(host)));
}

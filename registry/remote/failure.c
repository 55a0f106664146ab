#include "remote/failure.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define MESSAGE_SHOWN 300 /* bytes of what a registry says */

/* --- what it is about --- */

/* Splits "NAME/KIND/REST" at the last KIND; NULL: it is not in there. Free it. */
static char *split_at(const char *path, const char *kind, const char **rest)
{
    const char *at = g_strrstr(path, kind);
    *rest = at == NULL ? NULL : at + strlen(kind);
    return at == NULL ? NULL : g_strndup(path, (gsize)(at - path));
}

/* Of a path behind /v2/. */
static char *subject_of_path(const char *host, const char *path)
{
    const char *rest;
    if (g_str_has_prefix(path, "_catalog")) {
        return g_strdup_printf("%s: its names", host);
    }
    g_autofree char *uploads = split_at(path, "/blobs/uploads/", &rest);
    if (uploads != NULL) {
        return g_strdup_printf("%s/%s", host, uploads);
    }
    g_autofree char *manifests = split_at(path, "/manifests/", &rest);
    if (manifests != NULL) {
        return g_strdup_printf("%s/%s%s%s", host, manifests, strchr(rest, ':') == NULL ? ":" : "@", rest);
    }
    g_autofree char *blobs = split_at(path, "/blobs/", &rest);
    if (blobs != NULL) {
        return g_strdup_printf("%s/%s: blob %s", host, blobs, rest);
    }
    g_autofree char *tags = split_at(path, "/tags/list", &rest);
    if (tags != NULL) {
        return g_strdup_printf("%s/%s: its tags", host, tags);
    }
    g_autofree char *referrers = split_at(path, "/referrers/", &rest);
    return referrers != NULL ? g_strdup_printf("%s/%s: what is attached", host, referrers) : g_strdup(host);
}

char *failure_subject(const IngotRemote *remote, const char *url)
{
    gsize length = strlen(remote->base);
    gboolean own = strncmp(url, remote->base, length) == 0 && url[length] == '/';
    if (own && g_str_has_prefix(url + length, "/v2/")) {
        return subject_of_path(remote->host, url + length + strlen("/v2/"));
    }
    g_autofree char *shown = ingot_text_url(url);
    return own ? g_strdup_printf("%s%s", remote->host, shown + length) : g_strdup_printf("%s: %s", remote->host, shown);
}

gboolean failure_ends_all(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK);
}

gboolean failure_set(const IngotRemote *remote, const char *url, IngotError code, GError **error, const char *format,
                     ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_autofree char *subject = failure_subject(remote, url);
    g_set_error(error, INGOT_ERROR, code, "%s: %s", subject, message);
    return FALSE;
}

json_t *failure_parse(const IngotRemote *remote, const char *url, const GByteArray *text, gsize *room, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autofree char *subject = failure_subject(remote, url);
    json_t *root = ingot_json_parse_within(text->data, text->len, subject, room, &problem);
    if (root == NULL) {
        g_set_error_literal(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, problem->message);
    }
    return root;
}

/* --- why --- */

static const char *cause_of_code(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "no host of this name is known";
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "no proxy of the name that is set is known";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "its certificate is not one to trust: another host's, outdated, or of an unknown authority (--ca names "
               "others)";
    case CURLE_SSL_CACERT_BADFILE:
        return "the certificates to check it against can't be read (--ca)";
    case CURLE_SSL_CONNECT_ERROR:
        return "it does not answer by TLS, as HTTPS needs";
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return "the connection broke off";
    case CURLE_WRITE_ERROR:
        return "it sends what was not asked for";
    case CURLE_READ_ERROR:
    case CURLE_ABORTED_BY_CALLBACK:
        return "what is to be sent can't be read";
    case CURLE_TOO_MANY_REDIRECTS:
        return "it leads from one address to the next without an end";
    case CURLE_URL_MALFORMAT:
        return "it leads to something that is not an address";
    case CURLE_WEIRD_SERVER_REPLY:
        return "what answers does not speak HTTP";
    default:
        return NULL;
    }
}

long failure_proxy_status(CURL *curl)
{
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status);
    return status >= 400 ? status : 0;
}

/* Free it. */
static char *cause_of_proxy(long status)
{
    return status == 407 ? g_strdup("the proxy that $HTTPS_PROXY names wants a login, as in "
                                    "http://USER:PASSWORD@HOST:PORT (status 407)")
                         : g_strdup_printf("the proxy that $HTTPS_PROXY names refuses (status %ld); $NO_PROXY is for "
                                           "what is to be asked without it",
                                           status);
}

char *failure_cause(CURL *curl, CURLcode code, gboolean unconnected, long stall)
{
    long number = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    if (failure_proxy_status(curl) != 0) {
        return cause_of_proxy(failure_proxy_status(curl));
    }
    if (code == CURLE_OPERATION_TIMEDOUT && unconnected) {
        return g_strdup("no connection came about in time ($INGOT_TIMEOUT sets this)");
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return g_strdup_printf("nothing came for %ld s ($INGOT_TIMEOUT sets this), or not all in good time", stall);
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL) { /* of where it led to, or of what answered */
        long redirections = 0;
        curl_easy_getinfo(curl, CURLINFO_REDIRECT_COUNT, &redirections);
        return g_strdup(redirections > 0 ? "it leads to an address that is not followed: from HTTPS to HTTP, say"
                                         : "what answers does not speak HTTP");
    }
    if (code == CURLE_COULDNT_CONNECT) {
        return number == 0 ? g_strdup("no connection") : g_strdup_printf("no connection: %s", g_strerror((int)number));
    }
    const char *cause = cause_of_code(code);
    return cause == NULL ? g_strdup_printf("the transfer failed (libcurl's code %d)", (int)code) : g_strdup(cause);
}

/* --- statuses --- */

static const char *cause_of_status(long status)
{
    return status == 401                    ? "a login is needed"
           : status == 403                  ? "denied"
           : status == 404                  ? "not found"
           : status == 407                  ? "the proxy wants a login"
           : status == 413                  ? "too large"
           : status == 429                  ? "the registry is too busy"
           : status == 507                  ? "the registry has no room"
           : status >= 500 && status <= 599 ? "the registry failed"
                                            : "refused";
}

gboolean failure_set_status(const IngotRemote *remote, const char *url, long status, const char *message,
                            const char *advice, GError **error)
{
    IngotError code = status == 404                    ? INGOT_ERROR_NOT_FOUND
                      : status == 401 || status == 403 ? INGOT_ERROR_DENIED
                                                       : INGOT_ERROR_FAILED;
    g_autofree char *subject = failure_subject(remote, url);
    g_autofree char *line = message == NULL ? NULL : ingot_text_line(message);
    g_autofree char *said = line == NULL ? NULL : ingot_text_head(line, MESSAGE_SHOWN);
    g_set_error(error, INGOT_ERROR, code, "%s: %s (status %ld%s%s)%s", subject, cause_of_status(status), status,
                said == NULL ? "" : ": ", said == NULL ? "" : said, advice);
    return FALSE;
}

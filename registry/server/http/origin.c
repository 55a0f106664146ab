#include "server/http/origin.h"

#include <arpa/inet.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <netinet/in.h>
#include <string.h>

/* What comes from a client goes into headers between quotes, and into texts. */
#define HOST_GRAMMAR "^[A-Za-z0-9._:\\[\\]-]{1,255}$"
#define PREFIX_GRAMMAR "^(/[A-Za-z0-9._~-]+)+$"

struct Origin {
    char *external;     /* without a slash at its end; NULL: none */
    char *prefix;       /* of external */
    GPtrArray *proxies; /* of GInetAddressMask */
    OriginHeader header;
    gboolean tls;
};

static gboolean matches(const char *grammar, const char *text)
{
    return text != NULL && g_regex_match_simple(grammar, text, G_REGEX_DOLLAR_ENDONLY | G_REGEX_RAW, 0);
}

gboolean origin_is_host(const char *text)
{
    return matches(HOST_GRAMMAR, text);
}

static gboolean parse_external(Origin *origin, const char *url, GError **error)
{
    const char *rest = g_str_has_prefix(url, "https://")  ? url + strlen("https://")
                       : g_str_has_prefix(url, "http://") ? url + strlen("http://")
                                                          : "";
    g_autofree char *host = g_strndup(rest, strcspn(rest, "/"));
    g_autofree char *path = g_strdup(rest + strlen(host));
    if (g_str_has_suffix(path, "/")) {
        path[strlen(path) - 1] = '\0';
    }
    if (!origin_is_host(host) || (*path != '\0' && !matches(PREFIX_GRAMMAR, path))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--external-url %s: https://HOST[:PORT][/PREFIX] is expected", url);
        return FALSE;
    }
    origin->external = g_strdup_printf("%.*s%s%s", (int)(rest - url), url, host, path);
    origin->prefix = g_steal_pointer(&path);
    return TRUE;
}

static gboolean parse_proxies(Origin *origin, const char *proxies, GError **error)
{
    g_auto(GStrv) all = g_strsplit(proxies, ",", -1);
    for (guint i = 0; all[i] != NULL; i++) {
        g_autoptr(GError) problem = NULL;
        GInetAddressMask *mask = g_inet_address_mask_new_from_string(g_strstrip(all[i]), &problem);
        if (mask == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "--trusted-proxy %s: an address or a network is expected, as in 10.0.0.0/8: %s", all[i],
                        problem->message);
            return FALSE;
        }
        g_ptr_array_add(origin->proxies, mask);
    }
    return TRUE;
}

Origin *origin_new(const char *external_url, const char *proxies, OriginHeader header, gboolean tls, GError **error)
{
    g_autoptr(Origin) origin = g_new0(Origin, 1);
    origin->header = header;
    origin->tls = tls;
    origin->proxies = g_ptr_array_new_with_free_func(g_object_unref);
    return (external_url == NULL || parse_external(origin, external_url, error)) &&
                   (proxies == NULL || parse_proxies(origin, proxies, error))
               ? g_steal_pointer(&origin)
               : NULL;
}

void origin_free(Origin *origin)
{
    if (origin != NULL) {
        g_free(origin->external);
        g_free(origin->prefix);
        g_ptr_array_unref(origin->proxies);
        g_free(origin);
    }
}

/* --- addresses --- */

/* IPv4 may come as ::ffff:a.b.c.d. */
static GInetAddress *address_of(const struct sockaddr *peer)
{
    if (peer->sa_family == AF_INET) {
        return g_inet_address_new_from_bytes((const guint8 *)&((const struct sockaddr_in *)peer)->sin_addr,
                                             G_SOCKET_FAMILY_IPV4);
    }
    const struct in6_addr *six = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    return IN6_IS_ADDR_V4MAPPED(six) ? g_inet_address_new_from_bytes(six->s6_addr + 12, G_SOCKET_FAMILY_IPV4)
                                     : g_inet_address_new_from_bytes(six->s6_addr, G_SOCKET_FAMILY_IPV6);
}

static gboolean is_proxy(const Origin *origin, const struct sockaddr *peer)
{
    g_autoptr(GInetAddress) address = origin->proxies->len == 0 ? NULL : address_of(peer);
    for (guint i = 0; i < origin->proxies->len; i++) {
        if (g_inet_address_mask_matches(g_ptr_array_index(origin->proxies, i), address)) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean origin_parse_address(const char *text, struct sockaddr_storage *address)
{
    g_autofree char *bare = g_strdup(text);
    g_strstrip(g_strdelimit(bare, "\"", ' '));
    char *start = bare, *end;
    if (*bare == '[' && (end = strchr(bare, ']')) != NULL) {
        start++;
        *end = '\0';
    } else if ((end = strchr(bare, ':')) != NULL && strchr(end + 1, ':') == NULL) {
        *end = '\0';
    }
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, start, &four.sin_addr) == 1) {
        memcpy(address, &four, sizeof four);
    } else if (inet_pton(AF_INET6, start, &six.sin6_addr) == 1) {
        memcpy(address, &six, sizeof six);
    } else {
        return FALSE;
    }
    return TRUE;
}

/* --- headers --- */

typedef struct {
    const char *name;
    GString *text; /* NULL: there is none */
} Header;

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    Header *header = user;
    (void)kind;
    if (g_ascii_strcasecmp(name, header->name) == 0 && value != NULL) {
        if (header->text == NULL) {
            header->text = g_string_new(value);
        } else {
            g_string_append_printf(header->text, ", %s", value);
        }
    }
    return MHD_YES;
}

/* A list may come as several headers, the last of them the nearest proxy's. Free it. */
static char **list_of(const Request *request, const char *name)
{
    Header header = {.name = name};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, on_header, &header);
    g_autofree char *text = header.text == NULL ? g_strdup("") : g_string_free(header.text, FALSE);
    return g_strsplit(text, ",", -1);
}

/* The element of a list at which the client stands: `depth` elements from its end, or the first where proxies replace
 * what was said before them; NULL: the list is empty. Free it. */
static char *element_of(const Request *request, const char *name, guint depth)
{
    g_auto(GStrv) all = list_of(request, name);
    guint count = g_strv_length(all);
    char *element = count == 0 ? NULL : g_strdup(g_strstrip(all[count > depth ? count - 1 - depth : 0]));
    return element != NULL && *element == '\0' ? (g_free(element), NULL) : element;
}

/* A parameter of one element of Forwarded (RFC 7239), without its quotes. Free it. */
static char *parameter_of(const char *element, const char *key)
{
    g_auto(GStrv) pairs = g_strsplit(element, ";", -1);
    for (guint i = 0; pairs[i] != NULL; i++) {
        char *pair = g_strstrip(pairs[i]);
        gsize length = strlen(key);
        if (g_ascii_strncasecmp(pair, key, length) == 0 && pair[length] == '=') {
            return g_strstrip(g_strdelimit(g_strdup(pair + length + 1), "\"", ' '));
        }
    }
    return NULL;
}

/* What the proxies say of the client: key is "proto", "host". Free it. */
static char *said_of(const Request *request, OriginHeader by, guint depth, const char *key, const char *header)
{
    if (request_header(request, by == ORIGIN_BY_X_FORWARDED ? header : "Forwarded") == NULL) {
        return NULL;
    }
    if (by == ORIGIN_BY_X_FORWARDED) {
        return element_of(request, header, depth);
    }
    g_autofree char *element = element_of(request, "Forwarded", depth);
    return element == NULL ? NULL : parameter_of(element, key);
}

/* --- the door --- */

/* Returns how many proxies stand between the client and the nearest one. */
static guint take_client(const Origin *origin, Request *request)
{
    gboolean by_standard = origin->header == ORIGIN_BY_FORWARDED;
    g_auto(GStrv) all = list_of(request, by_standard ? "Forwarded" : "X-Forwarded-For");
    guint depth = 0, count = g_strv_length(all);
    for (; depth < count; depth++) {
        const char *element = all[count - 1 - depth];
        g_autofree char *shown = by_standard ? parameter_of(element, "for") : g_strdup(element);
        struct sockaddr_storage one;
        if (shown == NULL || !origin_parse_address(shown, &one)) {
            break; /* what stands before it can't be told from an invention */
        }
        request->client = one;
        if (!is_proxy(origin, (const struct sockaddr *)&one)) {
            return depth;
        }
    }
    return depth == 0 ? 0 : depth - 1;
}

static void take_forwarded(const Origin *origin, Request *request)
{
    OriginHeader by = origin->header;
    guint depth = take_client(origin, request);
    g_autofree char *scheme = said_of(request, by, depth, "proto", "X-Forwarded-Proto"),
                    *host = said_of(request, by, depth, "host", "X-Forwarded-Host"),
                    *prefix = by == ORIGIN_BY_FORWARDED ? NULL : element_of(request, "X-Forwarded-Prefix", depth);
    request->proxied = TRUE;
    if (scheme != NULL) {
        request->secure = g_ascii_strcasecmp(scheme, "https") == 0;
    }
    if (origin_is_host(host)) {
        request->host = g_steal_pointer(&host);
    }
    if (origin->prefix == NULL && matches(PREFIX_GRAMMAR, prefix)) {
        request->prefix = g_steal_pointer(&prefix);
    }
}

/* Whether anything says that the client speaks TLS to a proxy, which is not trusted. */
static gboolean hints_at_tls(const Request *request)
{
    for (OriginHeader by = ORIGIN_BY_X_FORWARDED; by <= ORIGIN_BY_FORWARDED; by++) {
        g_autofree char *scheme = said_of(request, by, 0, "proto", "X-Forwarded-Proto");
        if (scheme != NULL && g_ascii_strcasecmp(scheme, "https") == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* A proxy may pass the prefix on, or not. */
static void take_prefix_off(Request *request)
{
    gsize length = request->prefix == NULL ? 0 : strlen(request->prefix);
    if (length > 0 && strncmp(request->path, request->prefix, length) == 0 && request->path[length] == '/') {
        char *path = request->path;
        request->path = g_strdup(path + length);
        g_free(path);
    }
}

gboolean origin_take(const Origin *origin, Request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info == NULL ? NULL : info->client_addr;
    gboolean by_network = peer != NULL && (peer->sa_family == AF_INET || peer->sa_family == AF_INET6);
    request->secure = origin->tls;
    request->external = origin->external;
    if (by_network) {
        memcpy(&request->client, peer,
               peer->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    }
    if (origin->prefix != NULL && *origin->prefix != '\0') {
        request->prefix = g_strdup(origin->prefix);
    }
    if (!by_network || is_proxy(origin, peer)) {
        take_forwarded(origin, request);
    } else if (!origin->tls && origin->external == NULL && hints_at_tls(request)) {
        request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED",
                       "the request says that it came to a proxy by TLS, and this registry does not trust that "
                       "proxy: an address without TLS would be given out, where passwords go in the clear. Name "
                       "the proxy with --trusted-proxy, or set --external-url");
        return FALSE;
    }
    take_prefix_off(request);
    return TRUE;
}

char *origin_base(const Request *request)
{
    if (request->external != NULL) {
        return g_strdup(request->external);
    }
    const char *host = request->host != NULL ? request->host : request_header(request, MHD_HTTP_HEADER_HOST);
    return !origin_is_host(host) ? NULL
                                 : g_strconcat(request->secure ? "https://" : "http://", host,
                                               request->prefix == NULL ? "" : request->prefix, NULL);
}

gboolean origin_is_loopback_host(const char *text)
{
    gsize length = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":");
    g_autofree char *host = g_ascii_strdown(text, (gssize)MIN(length, strlen(text)));
    struct in_addr four;
    if (inet_pton(AF_INET, host, &four) == 1) {
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    g_autofree char *bare = g_strdup(host);
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(g_strstrip(g_strdelimit(bare, "[]", ' ')));
    return strcmp(host, "localhost") == 0 || g_str_has_suffix(host, ".localhost") ||
           (address != NULL && g_inet_address_get_is_loopback(address));
}

gboolean origin_is_local(const Request *request)
{
    static const char *const marks[] = {
        "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-IP",
        "Via"};
    for (guint i = 0; i < G_N_ELEMENTS(marks); i++) {
        if (request_header(request, marks[i]) != NULL) {
            return FALSE;
        }
    }
    const char *host = request_header(request, MHD_HTTP_HEADER_HOST);
    return !request->by_http_1_0 && (host == NULL || origin_is_loopback_host(host)); /* a browser always sends one */
}

gboolean origin_is_cross_site(const Request *request)
{
    const char *site = request_header(request, "Sec-Fetch-Site"), *page = request_header(request, "Origin");
    g_autofree char *ours = page == NULL ? NULL : origin_base(request);
    gsize length = page == NULL ? 0 : strlen(page);
    return (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) ||
           (page != NULL && (ours == NULL || g_ascii_strncasecmp(page, ours, length) != 0 ||
                             (ours[length] != '\0' && ours[length] != '/')));
}

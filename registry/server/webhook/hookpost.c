#include "server/webhook/hookpost.h"

#include <curl/curl.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <string.h>

#include "base/process.h"
#include "base/text.h"
#include "server/webhook/hooksign.h"
#include "server/webhook/publicaddress.h"

#define URL_MAX 2048u /* bytes */
#define CONNECT_SECONDS 10L

typedef struct {
    const HookPost *post;
    HookAnswer *answer;
    char *refused; /* an address that is not public */
} Exchange;

void hook_answer_clear(HookAnswer *answer)
{
    if (answer->body != NULL) {
        g_string_free(answer->body, TRUE);
        answer->body = NULL;
    }
    g_clear_pointer(&answer->signature, g_free);
}

/* --- URLs --- */

/* A part of a URL; NULL: it has none. Free it. */
static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, 0) != CURLUE_OK) {
        return NULL;
    }
    char *copy = g_strdup(text);
    curl_free(text);
    return copy;
}

gboolean hook_url_check(const char *url, GError **error)
{
    CURLU *parsed = curl_url();
    gboolean read = strlen(url) <= URL_MAX && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK;
    g_autofree char *scheme = read ? url_part(parsed, CURLUPART_SCHEME) : NULL;
    g_autofree char *user = read ? url_part(parsed, CURLUPART_USER) : NULL;
    g_autofree char *password = read ? url_part(parsed, CURLUPART_PASSWORD) : NULL;
    curl_url_cleanup(parsed);
    if (scheme == NULL || (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "a URL is expected, as in https://HOST/PATH");
        return FALSE;
    }
    if (user != NULL || password != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "a URL without a user's name and password is expected: others read it");
        return FALSE;
    }
    return TRUE;
}

/* --- what curl asks --- */

static char *address_text(const struct sockaddr *address, gsize size)
{
    g_autoptr(GSocketAddress) native = g_socket_address_new_from_native((gpointer)address, size);
    return G_IS_INET_SOCKET_ADDRESS(native)
               ? g_inet_address_to_string(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(native)))
               : g_strdup("a socket of this machine");
}

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    Exchange *exchange = user;
    (void)purpose;
    if (!exchange->post->allow_private && !address_is_public(&address->addr)) {
        g_free(exchange->refused);
        exchange->refused = address_text(&address->addr, address->addrlen);
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take_body(char *data, size_t size, size_t count, void *user)
{
    HookAnswer *answer = user;
    gsize room = HOOK_ANSWER_MAX - answer->body->len;
    g_string_append_len(answer->body, data, (gssize)MIN(size * count, room));
    answer->cut = size * count > room;
    return answer->cut ? 0 : size * count;
}

static int look_for_end(void *user, curl_off_t down, curl_off_t got, curl_off_t up, curl_off_t sent)
{
    (void)user, (void)down, (void)got, (void)up, (void)sent;
    return ingot_interrupt_check(NULL) ? 0 : 1;
}

/* --- the exchange --- */

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    g_autofree char *line = g_strdup_printf("%s: %s", name, value);
    return curl_slist_append(list, line);
}

static struct curl_slist *make_headers(const HookPost *post)
{
    g_autofree char *timestamp = g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time() / G_USEC_PER_SEC);
    g_autofree char *signature = hook_sign(post->secret, timestamp, post->body, strlen(post->body));
    struct curl_slist *list = add_header(NULL, "Content-Type", "application/json");
    list = add_header(list, HOOK_TIMESTAMP, timestamp);
    list = add_header(list, HOOK_SIGNATURE, signature);
    list = add_header(list, "X-Ingot-Event", post->kind);
    list = add_header(list, "X-Ingot-Delivery", post->id);
    return curl_slist_append(list, "Expect:");
}

static void set_options(CURL *curl, Exchange *exchange, struct curl_slist *headers)
{
    const HookPost *post = exchange->post;
    curl_easy_setopt(curl, CURLOPT_URL, post->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, post->allow_http ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "ingotd/" INGOT_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(post->body));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)post->seconds);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange->answer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_for_end);
}

static gboolean tell_failure(const Exchange *exchange, CURLcode code, const char *said, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    g_autofree char *url = ingot_text_url(exchange->post->url);
    if (code == CURLE_UNSUPPORTED_PROTOCOL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s is not https, which --allow-http would allow", url);
    } else if (exchange->refused != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED,
                    "%s is at %s, an address that is not public, which --allow-private would allow", url,
                    exchange->refused);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: %s", url,
                    *said == '\0' ? curl_easy_strerror(code) : said);
    }
    return FALSE;
}

static void read_head(CURL *curl, HookAnswer *answer)
{
    long status = 0;
    struct curl_header *header = NULL;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (guint)status;
    if (curl_easy_header(curl, HOOK_SIGNATURE, 0, CURLH_HEADER, -1, &header) == CURLHE_OK) {
        answer->signature = g_strdup(header->value);
    }
}

gboolean hook_post(const HookPost *post, HookAnswer *answer, GError **error)
{
    char said[CURL_ERROR_SIZE] = "";
    Exchange exchange = {.post = post, .answer = answer};
    CURL *curl = curl_easy_init();
    if (curl == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "curl can't be set up");
        return FALSE;
    }
    struct curl_slist *headers = make_headers(post);
    gint64 begun = g_get_monotonic_time();
    answer->body = g_string_new(NULL);
    set_options(curl, &exchange, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, said);
    CURLcode code = curl_easy_perform(curl);
    answer->ms = (guint)((g_get_monotonic_time() - begun) / G_TIME_SPAN_MILLISECOND);
    gboolean ok = code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer->cut);
    if (ok) {
        read_head(curl, answer);
    } else {
        tell_failure(&exchange, code, said, error);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    g_free(exchange.refused);
    return ok;
}

#include "remote/http.h"

#include <ingot/error.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "image/architecture.h"
#include "image/hub.h"
#include "remote/bypass.h"
#include "remote/failure.h"
#include "remote/location.h"
#include "remote/relay.h"

#define CONNECT_SECONDS 10L
#define STALL_SECONDS 30L
#define REFUSAL_VALUES 1024
#define LEAST_SPEED 100000 /* bytes a second, of a long answer */
#define TIMEOUT_MAX 86400u /* seconds */
#define REDIRECTIONS 5
#define WAIT_STEP (G_USEC_PER_SEC / 4) /* between two looks whether to go on waiting */

void http_exchange_clear(HttpExchange *exchange)
{
    g_free(exchange->url);
    g_free(exchange->moved);
    g_free(exchange->answered);
    g_clear_pointer(&exchange->answer, g_byte_array_unref);
    g_clear_pointer(&exchange->answer_headers, g_hash_table_unref);
}

/* 0: it is not set. */
static gboolean read_timeout(const IngotRemoteOptions *options, guint64 *seconds, GError **error)
{
    const char *text = options->timeout;
    *seconds = 0;
    if (text == NULL || *text == '\0') {
        return TRUE;
    }
    if (!ingot_text_parse_duration(text, seconds, error)) {
        g_prefix_error(error, "$INGOT_TIMEOUT: ");
        return FALSE;
    }
    if (*seconds == 0 || *seconds > TIMEOUT_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "$INGOT_TIMEOUT: '%s' is not from 1 s to %u s", text,
                    TIMEOUT_MAX);
        return FALSE;
    }
    return TRUE;
}

long http_seconds(const IngotRemoteOptions *options, long standard)
{
    guint64 wanted;
    return read_timeout(options, &wanted, NULL) && wanted > 0 ? (long)wanted : standard;
}

gboolean http_check_settings(const IngotRemoteOptions *options, GError **error)
{
    guint64 seconds;
    if (options->ca != NULL && !g_file_test(options->ca, G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--ca %s: there is no such file", options->ca);
        return FALSE;
    }
    return (options->architecture == NULL || architecture_check(options->architecture, error)) &&
           read_timeout(options, &seconds, error);
}

gboolean http_goes_on(const IngotRemote *remote, GError **error)
{
    return ingot_interrupt_check(error) && (remote->goes_on == NULL || remote->goes_on(remote->goes_on_user, error));
}

/* Ctrl-C ends a transfer within a second. */
static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const IngotRemote *remote = user;
    (void)a, (void)b, (void)c, (void)d;
    return (remote == NULL ? ingot_interrupt_check(NULL) : http_goes_on(remote, NULL)) ? 0 : 1;
}

static void set_proxy(CURL *curl, const char *url, const IngotRemoteOptions *options)
{
    const char *proxy = g_str_has_prefix(url, "http:") ? options->http_proxy : options->https_proxy;
    g_autofree char *without = bypass_for(options->no_proxy, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, without);
    if (proxy != NULL || !options->proxy_variables) {
        curl_easy_setopt(curl, CURLOPT_PROXY, proxy == NULL ? "" : proxy);
    }
}

void http_prepare(CURL *curl, const char *url, const IngotRemoteOptions *options)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, http_seconds(options, CONNECT_SECONDS));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, http_seconds(options, STALL_SECONDS));
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTIONS);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    /* What was asked for by TLS is not to come without. */
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, g_str_has_prefix(url, "https:") ? "https" : "http,https");
    set_proxy(curl, url, options);
    if (options->ca != NULL) { /* instead of the system's authorities, which libcurl knows as a folder too */
        curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "ingot/" INGOT_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

guint http_stall(const IngotRemote *remote)
{
    return remote->stall > 0 ? remote->stall : (guint)http_seconds(remote->options, STALL_SECONDS);
}

/* The same for what runs now. */
static long stall_of(const IngotRemote *remote)
{
    return (long)MAX(http_stall(remote), remote->silence);
}

void http_limit(CURL *curl, const IngotRemote *remote)
{
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, remote);
    if (remote->connect > 0) {
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)remote->connect);
    }
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, stall_of(remote));
}

void http_prepare_get(CURL *curl, IngotRemote *remote, const char *url, gboolean login, HttpTake on_header,
                      HttpTake on_data, gpointer user)
{
    curl_easy_reset(curl);
    http_prepare(curl, url, remote->options);
    http_limit(curl, remote);
    if (login) {
        auth_set(remote, curl, "GET", url);
    }
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, user);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, user);
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
}

void http_basic(CURL *curl, const IngotCredentials *login)
{
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, login->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, login->password);
}

/* Whether the transfer ended before its connection stood, TLS included. One that was there already took no time. */
static gboolean is_unconnected(CURL *curl, CURLcode code, const char *url)
{
    curl_off_t stood = 0;
    long begun = 0;
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &begun);
    curl_easy_getinfo(curl, g_str_has_prefix(url, "https:") ? CURLINFO_APPCONNECT_TIME_T : CURLINFO_CONNECT_TIME_T,
                      &stood);
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT ||
           code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
           (code == CURLE_OPERATION_TIMEDOUT && stood == 0 && begun > 0) ||
           (code == CURLE_RECV_ERROR && failure_proxy_status(curl) != 0);
}

/* Where the last answer came from: a redirection may have led to another host. What libcurl makes of the URL that it
 * was given is the same place, though it may be written otherwise. */
static const char *answering_url(CURL *curl, const char *asked)
{
    const char *effective = NULL;
    long redirections = 0;
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_COUNT, &redirections);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &effective);
    return redirections > 0 ? effective : asked;
}

static gboolean is_own(const IngotRemote *remote, const char *url)
{
    gsize length = strlen(remote->base);
    return url != NULL && strncmp(url, remote->base, length) == 0 && url[length] == '/';
}

/* Where a request is sent to. */
static const char *asked_url(const HttpExchange *exchange)
{
    return exchange->moved == NULL ? exchange->url : exchange->moved;
}

/* Whether libcurl may follow a redirection of it: what has a body would be sent anywhere. */
static gboolean is_followed(const HttpExchange *exchange)
{
    return strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
}

void http_note_status(IngotRemote *remote, CURL *curl, const char *method, const char *url, long status)
{
    /* Where a redirection led to is another's, whose refusal says nothing of the registry. */
    const char *asked = answering_url(curl, url);
    /* 401 to a password says that it is wrong, not that there is nothing for it. */
    gboolean refused = status == 403 || (status == 401 && !auth_shows_password(remote, method, url));
    remote->ended = refused && is_own(remote, asked) ? INGOT_REMOTE_REFUSED : INGOT_REMOTE_OTHERWISE;
}

gboolean http_failed(IngotRemote *remote, CURL *curl, CURLcode code, const char *url, GError **error)
{
    /* Where a redirection led to is another's, whose silence says nothing of the registry. */
    const char *asked = answering_url(curl, url);
    remote->ended =
        is_own(remote, asked) && is_unconnected(curl, code, asked) ? INGOT_REMOTE_UNREACHED : INGOT_REMOTE_OTHERWISE;
    if (!http_goes_on(remote, error)) {
        return FALSE;
    }
    g_autofree char *cause =
        failure_cause(curl, code, asked != NULL && is_unconnected(curl, code, asked), stall_of(remote));
    return failure_set(remote, url, INGOT_ERROR_NETWORK, error, "%s", cause);
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    HttpExchange *exchange = user;
    exchange->too_large = exchange->answer->len + size * count > exchange->limit;
    if (exchange->too_large) {
        return 0;
    }
    g_byte_array_append(exchange->answer, (const guint8 *)data, (guint)(size * count));
    return size * count;
}

/* Several challenges, or links, may come as headers of their own; a header of the same name counts last otherwise. */
static void keep_header(GHashTable *headers, char *name, char *value)
{
    const char *between = strcmp(name, "www-authenticate") == 0 ? "\n" : strcmp(name, "link") == 0 ? ", " : NULL;
    const char *former = between == NULL ? NULL : g_hash_table_lookup(headers, name);
    g_hash_table_replace(headers, name, former == NULL ? g_strdup(value) : g_strconcat(former, between, value, NULL));
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    HttpExchange *exchange = user;
    g_autofree char *line = g_strndup(data, size * count);
    char *colon = strchr(line, ':');
    if (g_str_has_prefix(line, "HTTP/")) { /* another answer, after a redirection */
        g_hash_table_remove_all(exchange->answer_headers);
    } else if (colon != NULL) {
        *colon = '\0';
        keep_header(exchange->answer_headers, g_ascii_strdown(line, -1), g_strstrip(colon + 1));
    }
    return size * count;
}

gboolean http_content_range(const char *line, guint64 *first)
{
    static const char name[] = "content-range:";
    return g_ascii_strncasecmp(line, name, strlen(name)) == 0 &&
           sscanf(line + strlen(name), " bytes %" G_GUINT64_FORMAT "-", first) == 1;
}

/* The next bytes of the ranges; they end where upload_size says. */
static ssize_t read_ranges(HttpExchange *exchange, char *buffer, size_t size)
{
    const IngotRange *range = &exchange->upload_ranges[exchange->upload_range];
    size_t count = (size_t)MIN((guint64)size, range->length - exchange->upload_within);
    ssize_t got = pread(exchange->upload_fd, buffer, count, (off_t)(range->offset + exchange->upload_within));
    exchange->upload_within += got > 0 ? (guint64)got : 0;
    if (exchange->upload_within == range->length) {
        exchange->upload_range++;
        exchange->upload_within = 0;
    }
    return got;
}

static size_t on_upload(char *buffer, size_t size, size_t count, void *user)
{
    HttpExchange *exchange = user;
    ssize_t got = read_ranges(exchange, buffer, size * count);
    if (got < 0) {
        return CURL_READFUNC_ABORT;
    }
    exchange->position += (guint64)got;
    if (exchange->position > exchange->counted) {
        ingot_progress_add(exchange->progress, exchange->position - exchange->counted);
        exchange->counted = exchange->position;
    }
    return (size_t)got;
}

static void rewind_upload(HttpExchange *exchange)
{
    exchange->upload_range = 0;
    exchange->upload_within = 0;
    exchange->position = exchange->before;
}

/* libcurl would send again, by another connection, what the registry may have taken already: how far it came is asked
 * first. */
static int on_seek(void *user, curl_off_t offset, int origin)
{
    const HttpExchange *exchange = user;
    gboolean is_start = offset == 0 && origin == SEEK_SET && exchange->position == exchange->before;
    return is_start ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static void set_body(CURL *curl, HttpExchange *exchange)
{
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, exchange->method);
    if (strcmp(exchange->method, "HEAD") == 0) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (exchange->upload_size > 0) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_upload);
        curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
        curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->upload_size);
    } else if (exchange->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, exchange->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body_size);
    }
}

static void show_login(IngotRemote *remote, const HttpExchange *exchange)
{
    if (!exchange->bare) {
        auth_set(remote, remote->curl, exchange->login_as == NULL ? exchange->method : exchange->login_as,
                 asked_url(exchange));
    } else if (exchange->login != NULL) {
        http_basic(remote->curl, exchange->login);
    }
}

/* An answer that trickles moves something all the while: what is read as a whole has an end in time too, where waits
 * are bounded at all. */
static void limit_whole(CURL *curl, const IngotRemote *remote, const HttpExchange *exchange)
{
    if (remote->stall > 0 && exchange->upload_size == 0 && exchange->body_size == 0) {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, 2L * stall_of(remote) + (long)(exchange->limit / LEAST_SPEED));
    }
}

/* Whether some of the body went out: the registry may have kept that. */
static gboolean has_sent(IngotRemote *remote, const HttpExchange *exchange)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(remote->curl, CURLINFO_SIZE_UPLOAD_T, &sent);
    return exchange->upload_size > 0 && sent > 0;
}

/* One request with its answer. */
static gboolean transfer(IngotRemote *remote, HttpExchange *exchange, GError **error)
{
    CURL *curl = remote->curl;
    remote->ended = INGOT_REMOTE_OTHERWISE;
    exchange->too_large = FALSE;
    curl_easy_reset(curl); /* connections stay */
    http_prepare(curl, asked_url(exchange), remote->options);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, is_followed(exchange) ? 1L : 0L);
    http_limit(curl, remote);
    limit_whole(curl, remote, exchange);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, exchange->fresh ? 1L : 0L);
    show_login(remote, exchange);
    g_clear_pointer(&exchange->answer, g_byte_array_unref);
    g_clear_pointer(&exchange->answer_headers, g_hash_table_unref);
    exchange->answer = g_byte_array_new();
    exchange->answer_headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    set_body(curl, exchange);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    for (guint i = 0; exchange->headers != NULL && exchange->headers[i] != NULL; i++) {
        headers = curl_slist_append(headers, exchange->headers[i]);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    gboolean stands = code == CURLE_OPERATION_TIMEDOUT && has_sent(remote, exchange);
    exchange->code = stands ? CURLE_SEND_ERROR : failure_proxy_status(curl) != 0 ? CURLE_COULDNT_CONNECT : code;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &exchange->status);
    g_free(exchange->answered);
    exchange->answered = g_strdup(answering_url(curl, asked_url(exchange)));
    if (exchange->too_large && exchange->status >= 400) { /* its status says it, whatever page comes with that */
        exchange->too_large = FALSE;
        exchange->code = CURLE_OK;
        return TRUE;
    }
    if (exchange->too_large) {
        g_autofree char *most = ingot_text_size(exchange->limit);
        return failure_set(remote, exchange->url, INGOT_ERROR_LIMIT, error,
                           "the answer is too large: %s at most are read", most);
    }
    return code == CURLE_OK || http_failed(remote, curl, code, asked_url(exchange), error);
}

/* Whether the answer leads a request that libcurl does not follow to another address. */
static gboolean leads_on(const HttpExchange *exchange)
{
    long status = exchange->status;
    return !is_followed(exchange) && (status == 301 || status == 302 || status == 307 || status == 308) &&
           http_header(exchange, "location") != NULL;
}

/* Says what it is about, where an answer leads to a place that is not gone to. Always FALSE. */
static gboolean leads_nowhere(const IngotRemote *remote, const HttpExchange *exchange, GError **error)
{
    g_autofree char *subject = failure_subject(remote, exchange->url);
    g_prefix_error(error, "%s: ", subject);
    return FALSE;
}

/* The same to that address, if a registry's Location may lead there. */
static gboolean lead_on(IngotRemote *remote, HttpExchange *exchange, GError **error)
{
    if (exchange->bare) {
        return failure_set(remote, exchange->url, INGOT_ERROR_DENIED, error,
                           "it leads on to another address, and no identity token is sent there");
    }
    char *url =
        location_resolve(remote->options, remote->base, asked_url(exchange), http_header(exchange, "location"), error);
    if (url == NULL) {
        return leads_nowhere(remote, exchange, error);
    }
    g_free(exchange->moved);
    exchange->moved = url;
    rewind_upload(exchange);
    return TRUE;
}

static gboolean perform(IngotRemote *remote, HttpExchange *exchange, GError **error)
{
    remote->silence = exchange->silence;
    gboolean ok = transfer(remote, exchange, error);
    for (guint i = 0; ok && leads_on(exchange); i++) {
        ok = i < REDIRECTIONS ? lead_on(remote, exchange, error) && transfer(remote, exchange, error)
                              : failure_set(remote, exchange->url, INGOT_ERROR_NETWORK, error,
                                            "it leads from one address to the next without an end");
    }
    remote->silence = 0;
    return ok;
}

/* Whether the answer is that of the host that was asked: where a redirection led to, nobody learns of our login. */
static gboolean is_own_answer(IngotRemote *remote, const HttpExchange *exchange)
{
    return is_own(remote, answering_url(remote->curl, asked_url(exchange)));
}

/* A registry that refuses a login may end the connection while the body still comes: its answer is lost then, and is
 * asked for again without a body. FALSE: that was not it. */
static gboolean find_refusal(IngotRemote *remote, HttpExchange *exchange)
{
    g_auto(HttpExchange) look = {
        .method = "GET", .url = g_strdup(asked_url(exchange)), .login_as = exchange->method, .limit = exchange->limit};
    if (exchange->bare || exchange->upload_size == 0 || !patience_broke_off(exchange->code) ||
        !perform(remote, &look, NULL) || look.status != 401 || !is_own_answer(remote, &look)) {
        return FALSE;
    }
    exchange->status = look.status;
    exchange->code = CURLE_OK;
    g_clear_pointer(&exchange->answer, g_byte_array_unref);
    g_clear_pointer(&exchange->answer_headers, g_hash_table_unref);
    exchange->answer = g_steal_pointer(&look.answer);
    exchange->answer_headers = g_steal_pointer(&look.answer_headers);
    return TRUE;
}

gboolean http_wait(const IngotRemote *remote, gint64 usec, GError **error)
{
    for (gint64 left = usec; left > 0; left -= WAIT_STEP) {
        if (!patience_sleep(MIN(left, WAIT_STEP), error) || !http_goes_on(remote, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean http_still_hashes(const HttpExchange *exchange)
{
    return exchange->status == 503 && http_header(exchange, "ingot-hashing") != NULL;
}

/* The same until it calls for no more patience. */
static gboolean attempt(IngotRemote *remote, HttpExchange *exchange, GError **error)
{
    Patience own = patience_of(remote->patience), *patience = exchange->patience == NULL ? &own : exchange->patience;
    for (exchange->begin_anew = FALSE; !exchange->begin_anew;) {
        g_autoptr(GError) problem = NULL;
        gboolean came = perform(remote, exchange, &problem);
        gboolean sent = has_sent(remote, exchange) || exchange->code == CURLE_SEND_FAIL_REWIND;
        if (!came && find_refusal(remote, exchange)) {
            came = TRUE;
            g_clear_error(&problem);
        }
        gint64 wait = came && http_still_hashes(exchange)
                          ? -1
                          : patience_take(patience, remote->curl, exchange->code, exchange->status);
        if (wait < 0 && !came) {
            g_propagate_error(error, g_steal_pointer(&problem));
        }
        if (wait < 0) {
            return came;
        }
        exchange->lost = exchange->lost || !came || (exchange->status != 429 && exchange->status != 503);
        exchange->begin_anew = sent;
        if (!http_wait(remote, wait, error)) {
            return FALSE;
        }
        rewind_upload(exchange);
    }
    return TRUE;
}

gboolean http_exchange(IngotRemote *remote, HttpExchange *exchange, GError **error)
{
    g_clear_pointer(&exchange->moved, g_free);
    if (exchange->bare) {
        return attempt(remote, exchange, error);
    }
    if (!auth_ready(remote, exchange->method, exchange->url, error) || !attempt(remote, exchange, error)) {
        return FALSE;
    }
    gboolean again = FALSE;
    if (exchange->status != 401 || !is_own_answer(remote, exchange)) {
        return TRUE;
    }
    if (!auth_learn(remote, exchange->method, asked_url(exchange), http_header(exchange, "www-authenticate"), &again,
                    error)) {
        return FALSE;
    }
    if (!again) {
        return TRUE;
    }
    rewind_upload(exchange);
    return attempt(remote, exchange, error);
}

gboolean http_refused(IngotRemote *remote, const HttpExchange *exchange, GError **error)
{
    http_note_status(remote, remote->curl, exchange->method, asked_url(exchange),
                     exchange->bare ? 0 : exchange->status);
    if (exchange->status == 401 && !exchange->bare &&
        auth_refused(remote, exchange->method, exchange->answered, error)) {
        return FALSE;
    }
    gsize room = REFUSAL_VALUES;
    g_autoptr(json_t) body =
        ingot_json_parse_within(exchange->answer->data, exchange->answer->len, "answer", &room, NULL);
    const json_t *first = json_array_get(json_object_get(body, "errors"), 0);
    const char *message = json_string_value(json_object_get(first, "message"));
    gboolean denied = exchange->status == 401 || exchange->status == 403;
    g_autofree char *hint = denied ? auth_hint(remote, exchange->method, exchange->answered) : NULL;
    const char *advice = hint != NULL ? hint : exchange->status == 401 ? " (`ingot login` logs in)" : "";
    return failure_set_status(remote, exchange->url, exchange->status, message, advice, error);
}

const char *http_header(const HttpExchange *exchange, const char *name)
{
    return g_hash_table_lookup(exchange->answer_headers, name);
}

char *http_api_url(const IngotRemote *remote, const char *name, const char *kind, const char *reference)
{
    g_autofree char *path = hub_is(remote->host) ? hub_path(name) : g_strdup(name);
    return g_strdup_printf("%s/v2/%s/%s/%s", remote->base, path, kind, reference);
}

char *http_location(const IngotRemote *remote, const HttpExchange *exchange, const char *text, GError **error)
{
    char *url = location_resolve(remote->options, remote->base, exchange->answered, text, error);
    if (url == NULL) {
        leads_nowhere(remote, exchange, error);
    }
    return url;
}

gboolean http_next_page(const IngotRemote *remote, const HttpExchange *exchange, char **next, GError **error)
{
    return location_next_page(remote->base, exchange->url, http_header(exchange, "link"), next, error) ||
           leads_nowhere(remote, exchange, error);
}

/* One range of a blob over one connection, handed on as it comes. */
#include <ingot/error.h>
#include <string.h>

#include "remote/failure.h"
#include "remote/http.h"
#include "remote/patience.h"
#include "remote/relay.h"

#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */

typedef struct {
    IngotRemote *remote;
    char *url;
    guint64 from, end; /* what is still wanted; end 0: to the blob's end */
    gboolean resumed;  /* what lies before from has been handed on */
    IngotRangeFunc got;
    gpointer user;
    guint64 *received;
    gboolean begun; /* the answer's status and headers are known */
    long status;
    guint64 told;     /* where the answer's Content-Range begins; G_MAXUINT64: it has none */
    guint64 position; /* of the next byte that comes */
    GError *failure;  /* from within a callback */
} Stream;

static void stream_clear(Stream *stream)
{
    g_free(stream->url);
    g_clear_error(&stream->failure);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Stream, stream_clear)

/* Where the answer begins, as its own Content-Range has it. */
static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    Stream *stream = user;
    g_autofree char *line = g_strndup(data, size * count);
    if (g_str_has_prefix(line, "HTTP/")) { /* another answer, after a redirection */
        stream->told = G_MAXUINT64;
    } else {
        http_content_range(line, &stream->told);
    }
    return size * count;
}

/* Whether the answer's body is the blob's bytes. */
static gboolean stream_begin(Stream *stream)
{
    curl_easy_getinfo(stream->remote->curl, CURLINFO_RESPONSE_CODE, &stream->status);
    stream->begun = TRUE;
    stream->position = stream->status == 206 ? stream->from : 0;
    if (stream->status == 206 && stream->told != stream->from) {
        failure_set(stream->remote, stream->url, INGOT_ERROR_NETWORK, &stream->failure,
                    "the registry answers with another range than was asked for");
    }
    return stream->failure == NULL;
}

/* Whether what comes is no part of the blob: what it says is in its status. */
static gboolean is_refusal(const Stream *stream)
{
    return stream->status != 200 && stream->status != 206;
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
    Stream *stream = user;
    gsize length = size * count;
    if (!stream->begun && !stream_begin(stream)) {
        return 0;
    }
    if (is_refusal(stream)) {
        stream->position += length;
        return stream->position > ERROR_MAX ? 0 : length;
    }
    guint64 known = stream->resumed && stream->position < stream->from ? stream->from - stream->position : 0;
    gsize skip = (gsize)MIN(known, (guint64)length);
    if (skip < length &&
        !stream->got(stream->position + skip, data + skip, length - skip, stream->user, &stream->failure)) {
        return 0;
    }
    stream->position += length;
    if (stream->received != NULL) {
        *stream->received += length;
    }
    return length;
}

static CURLcode stream_perform(Stream *stream)
{
    CURL *curl = stream->remote->curl;
    stream->remote->ended = INGOT_REMOTE_OTHERWISE;
    g_autofree char *last = stream->end == 0 ? g_strdup("") : g_strdup_printf("%" G_GUINT64_FORMAT, stream->end - 1);
    g_autofree char *range = g_strdup_printf("%" G_GUINT64_FORMAT "-%s", stream->from, last);
    http_prepare_get(curl, stream->remote, stream->url, TRUE, on_header, on_data, stream);
    if (stream->from > 0 || stream->end > 0) {
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
    }
    stream->begun = FALSE;
    stream->told = G_MAXUINT64;
    stream->position = 0;
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &stream->status);
    return is_refusal(stream) && stream->position > ERROR_MAX ? CURLE_OK : code; /* its rest was not wanted */
}

/* An ordinary exchange finds out what is asked for. */
static gboolean stream_log_in(Stream *stream, GError **error)
{
    g_auto(HttpExchange) head = {.method = "HEAD", .url = g_strdup(stream->url), .limit = ERROR_MAX};
    return http_exchange(stream->remote, &head, error) &&
           (head.status != 401 || http_refused(stream->remote, &head, error));
}

/* The end of a transfer, as patience takes it: one that brought something and stands still is broken off, and so is
 * one that brought too little. What came is not asked for again. */
static CURLcode stream_keep(Stream *stream, CURLcode code, Patience *patience)
{
    gboolean moved = !is_refusal(stream) && stream->position > stream->from;
    gboolean is_short = code == CURLE_OK && !is_refusal(stream) && stream->position < stream->end;
    if (stream->failure != NULL || (code == CURLE_OK && !is_short)) {
        return code;
    }
    if (moved && stream->end > 0 && stream->position >= stream->end) {
        return CURLE_OK;
    }
    if (moved) {
        stream->from = stream->position;
        stream->resumed = TRUE;
        patience_renew(patience);
    }
    return is_short || (moved && code == CURLE_OPERATION_TIMEDOUT) ? CURLE_PARTIAL_FILE : code;
}

static gboolean stream_end(Stream *stream, CURLcode code, GError **error)
{
    if (stream->failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&stream->failure));
        return FALSE;
    }
    if (code == CURLE_OK && is_refusal(stream)) {
        http_note_status(stream->remote, stream->remote->curl, "GET", stream->url, stream->status);
        return failure_set_status(stream->remote, stream->url, stream->status, NULL, "", error);
    }
    if (code != CURLE_OK) {
        return http_failed(stream->remote, stream->remote->curl, code, stream->url, error);
    }
    if (stream->position < stream->end) {
        failure_set(stream->remote, stream->url, INGOT_ERROR_NETWORK, error,
                    "it ends at %" G_GUINT64_FORMAT ", before %" G_GUINT64_FORMAT, stream->position, stream->end);
        return FALSE;
    }
    return TRUE;
}

gboolean ingot_remote_stream(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 offset,
                             guint64 length, IngotRangeFunc got, gpointer user, guint64 *received, GError **error)
{
    g_auto(Stream) stream = {.remote = remote,
                             .url = http_digest_url(remote, name, "blobs", digest),
                             .from = offset,
                             .end = length == 0 ? 0 : offset + length,
                             .got = got,
                             .user = user,
                             .received = received};
    Patience patience = patience_of(remote->patience);
    for (gboolean logged_in = FALSE;;) {
        if (!auth_ready(remote, "GET", stream.url, error)) {
            return FALSE;
        }
        CURLcode code = stream_perform(&stream);
        CURLcode end = stream_keep(&stream, code, &patience);
        gint64 wait = stream.failure != NULL ? -1 : patience_take(&patience, remote->curl, end, stream.status);
        if (wait >= 0) {
            if (!http_wait(remote, wait, error)) {
                return FALSE;
            }
        } else if (code == CURLE_OK && stream.status == 401 && !logged_in) {
            logged_in = TRUE;
            if (!stream_log_in(&stream, error)) {
                return FALSE;
            }
        } else {
            return stream_end(&stream, end == CURLE_OK ? CURLE_OK : code, error);
        }
    }
}

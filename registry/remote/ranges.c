/* Ranges of one blob over a few connections at once. */
#include <ingot/error.h>
#include <string.h>

#include "remote/failure.h"
#include "remote/http.h"
#include "remote/patience.h"
#include "remote/relay.h"

#define CONNECTIONS 4
#define RANGE_MAX (8u << 20) /* bytes of one request: bounds memory to CONNECTIONS times this */
#define WAIT_MS 500
#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */

typedef struct {
    CURL *curl;
    guint64 offset, length; /* asked for, and not handed on yet */
    GByteArray *data;
    gsize refusal;        /* bytes of an answer that is not the range */
    gboolean busy, again; /* again: after a login */
    gboolean ignored;     /* the answer is the whole blob, more than the range, or another one */
    guint64 told;         /* where the answer's Content-Range begins; as asked for where it has none */
    gint64 wait_until;    /* monotonic: until then it is not asked again; 0: nothing is waited for */
    Patience patience;    /* for this range */
} Slot;

typedef struct {
    IngotRemote *remote;
    char *url;
    const char *name;
    const IngotDigest *digest;
    guint64 blob_size;
    const IngotRange *ranges;
    guint count, next;
    guint64 within; /* how much of ranges[next] is asked for */
    IngotRangeFunc got;
    gpointer user;
    guint64 *received;
    gboolean ignores; /* the registry does not answer range requests */
    Slot slots[CONNECTIONS];
} Fetch;

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    Slot *slot = user;
    g_autofree char *line = g_strndup(data, size * count);
    if (g_str_has_prefix(line, "HTTP/")) { /* another answer, after a redirection */
        slot->told = slot->offset;
    } else {
        http_content_range(line, &slot->told);
    }
    return size * count;
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
    Slot *slot = user;
    long status = 0;
    curl_easy_getinfo(slot->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206) { /* what it says is in its status */
        slot->refusal += size * count;
        return slot->refusal > ERROR_MAX ? 0 : size * count;
    }
    if (slot->data->len + size * count > slot->length || (status == 200 && slot->offset > 0) ||
        (status == 206 && slot->told != slot->offset)) {
        slot->ignored = TRUE;
        return 0;
    }
    g_byte_array_append(slot->data, (const guint8 *)data, (guint)(size * count));
    return size * count;
}

static void start(Fetch *fetch, Slot *slot)
{
    g_autofree char *text =
        g_strdup_printf("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, slot->offset, slot->offset + slot->length - 1);
    curl_easy_reset(slot->curl);
    http_prepare(slot->curl, fetch->url);
    http_limit(slot->curl, fetch->remote);
    auth_set(fetch->remote, slot->curl, "GET", fetch->url);
    curl_easy_setopt(slot->curl, CURLOPT_RANGE, text);
    curl_easy_setopt(slot->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(slot->curl, CURLOPT_HEADERDATA, slot);
    curl_easy_setopt(slot->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(slot->curl, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(slot->curl, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(slot->curl, CURLOPT_BUFFERSIZE, 256L << 10);
    g_byte_array_set_size(slot->data, 0);
    slot->busy = TRUE;
    slot->ignored = FALSE;
    slot->told = slot->offset;
    slot->refusal = 0;
    slot->wait_until = 0;
    curl_multi_add_handle(fetch->remote->multi, slot->curl);
}

/* Takes the next range. An access token that is about to end is renewed first. */
static gboolean ask(Fetch *fetch, Slot *slot, GError **error)
{
    const IngotRange *range = &fetch->ranges[fetch->next];
    slot->offset = range->offset + fetch->within;
    slot->length = MIN(range->length - fetch->within, (guint64)RANGE_MAX);
    fetch->within += slot->length;
    if (fetch->within == range->length) {
        fetch->next++;
        fetch->within = 0;
    }
    slot->again = FALSE;
    slot->patience = patience_of(fetch->remote->patience);
    if (!auth_ready(fetch->remote, "GET", fetch->url, error)) {
        return FALSE;
    }
    start(fetch, slot);
    return TRUE;
}

/* The access token has ended all the same, or there was none yet: an ordinary exchange finds out what is asked for. */
static gboolean log_in(Fetch *fetch, Slot *slot, GError **error)
{
    g_auto(HttpExchange) head = {.method = "HEAD", .url = g_strdup(fetch->url), .limit = ERROR_MAX};
    if (!http_exchange(fetch->remote, &head, error) ||
        (head.status == 401 && !http_refused(fetch->remote, &head, error))) {
        return FALSE;
    }
    slot->again = TRUE;
    start(fetch, slot);
    return TRUE;
}

static gboolean refused(const Fetch *fetch, CURL *curl, long status, GError **error)
{
    http_note_status(fetch->remote, curl, "GET", fetch->url, status);
    return failure_set_status(fetch->remote, fetch->url, status, NULL, "", error);
}

/* Hands on what came of the range: what is missing still is asked for alone. While one connection brings something the
 * others may wait: a registry that serves few at once refuses the rest all the while. */
static gboolean hand_on(Fetch *fetch, Slot *slot, GError **error)
{
    guint64 offset = slot->offset;
    gsize size = slot->data->len;
    if (size == 0) {
        return TRUE;
    }
    slot->offset += size;
    slot->length -= size;
    for (guint i = 0; i < CONNECTIONS; i++) {
        patience_renew(&fetch->slots[i].patience);
    }
    if (fetch->received != NULL) {
        *fetch->received += size;
    }
    return fetch->got(offset, slot->data->data, size, fetch->user, error);
}

/* The end of a transfer, as patience takes it: one that brought something and stands still is broken off, and so is
 * one that brought too little. */
static CURLcode end_of(const Slot *slot, CURLcode code, gboolean is_part)
{
    gboolean stands = code == CURLE_OPERATION_TIMEDOUT && slot->data->len > 0;
    gboolean is_short = code == CURLE_OK && slot->data->len < slot->length;
    return is_part && (stands || is_short) ? CURLE_PARTIAL_FILE : code;
}

static gboolean take(Fetch *fetch, Slot *slot, CURLcode code, GError **error)
{
    long status = 0;
    curl_easy_getinfo(slot->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(fetch->remote->multi, slot->curl);
    slot->busy = FALSE;
    if (slot->refusal > ERROR_MAX) { /* its rest was not wanted */
        code = CURLE_OK;
    }
    if (status == 401 && !slot->again) {
        return log_in(fetch, slot, error);
    }
    if (slot->ignored) {
        fetch->ignores = TRUE;
        failure_set(fetch->remote, fetch->url, INGOT_ERROR_NETWORK, error,
                    "the registry does not answer range requests");
        return FALSE;
    }
    gboolean is_part = status == 206 || status == 200;
    CURLcode end = end_of(slot, code, is_part);
    if (is_part && !hand_on(fetch, slot, error)) {
        return FALSE;
    }
    if (is_part && slot->length == 0) {
        return TRUE;
    }
    gint64 wait = patience_take(&slot->patience, slot->curl, end, status);
    if (wait >= 0) {
        slot->wait_until = g_get_monotonic_time() + wait;
        slot->again = FALSE;
        return TRUE;
    }
    if (code != CURLE_OK) {
        return http_failed(fetch->remote, slot->curl, code, fetch->url, error);
    }
    return is_part ? failure_set(fetch->remote, fetch->url, INGOT_ERROR_NETWORK, error,
                                 "it ends at %" G_GUINT64_FORMAT ", before %" G_GUINT64_FORMAT, slot->offset,
                                 slot->offset + slot->length)
                   : refused(fetch, slot->curl, status, error);
}

static gboolean take_finished(Fetch *fetch, GError **error)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(fetch->remote->multi, &left)) != NULL) {
        Slot *slot;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
        if (!take(fetch, slot, code, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Gives the slot something to do, if there is anything. FALSE: an error. */
static gboolean feed(Fetch *fetch, Slot *slot, GError **error)
{
    if (slot->busy) {
        return TRUE;
    }
    if (slot->wait_until > 0) {
        if (g_get_monotonic_time() >= slot->wait_until) {
            start(fetch, slot);
        }
        return TRUE;
    }
    return fetch->next == fetch->count || ask(fetch, slot, error);
}

static gboolean run(Fetch *fetch, GError **error)
{
    for (;;) {
        gboolean busy = FALSE;
        for (guint i = 0; i < CONNECTIONS; i++) {
            if (!feed(fetch, &fetch->slots[i], error)) {
                return FALSE;
            }
            busy = busy || fetch->slots[i].busy || fetch->slots[i].wait_until > 0;
        }
        if (!busy) {
            return TRUE;
        }
        int running;
        curl_multi_perform(fetch->remote->multi, &running);
        if (!take_finished(fetch, error) || !http_goes_on(fetch->remote, error)) {
            return FALSE;
        }
        curl_multi_poll(fetch->remote->multi, NULL, 0, running > 0 ? WAIT_MS : WAIT_MS / 10, NULL);
    }
}

static gboolean fetch_ranges(Fetch *fetch, GError **error)
{
    for (guint i = 0; i < CONNECTIONS; i++) {
        fetch->slots[i].curl = curl_easy_init();
        fetch->slots[i].data = g_byte_array_new();
    }
    gboolean ok = run(fetch, error);
    for (guint i = 0; i < CONNECTIONS; i++) {
        if (fetch->slots[i].busy) {
            curl_multi_remove_handle(fetch->remote->multi, fetch->slots[i].curl);
        }
        curl_easy_cleanup(fetch->slots[i].curl);
        g_byte_array_unref(fetch->slots[i].data);
    }
    return ok;
}

/* --- a registry that ignores Range: the blob once, from its start --- */

typedef struct {
    const Fetch *fetch;
    guint64 end;      /* of the last byte that is wanted */
    gboolean is_done; /* it has come */
} Whole;

/* Hands on what lies in the ranges. */
static gboolean pass_on(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    Whole *whole = user;
    const Fetch *fetch = whole->fetch;
    for (guint i = 0; i < fetch->count; i++) {
        const IngotRange *range = &fetch->ranges[i];
        guint64 from = MAX(range->offset, offset), to = MIN(range->offset + range->length, offset + size);
        if (from < to &&
            !fetch->got(from, (const guint8 *)data + (from - offset), (gsize)(to - from), fetch->user, error)) {
            return FALSE;
        }
    }
    whole->is_done = offset + size >= whole->end;
    if (whole->is_done) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "the rest is not wanted");
    }
    return !whole->is_done;
}

static gboolean read_through(const Fetch *fetch, GError **error)
{
    Whole whole = {.fetch = fetch};
    g_autoptr(GError) problem = NULL;
    for (guint i = 0; i < fetch->count; i++) {
        whole.end = MAX(whole.end, fetch->ranges[i].offset + fetch->ranges[i].length);
    }
    if (ingot_remote_stream(fetch->remote, fetch->name, fetch->digest, 0, 0, pass_on, &whole, fetch->received,
                            &problem)) {
        failure_set(fetch->remote, fetch->url, INGOT_ERROR_NETWORK, error, "the blob is shorter than was said");
    } else if (!whole.is_done) {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return whole.is_done;
}

/* Sizes come from a peer's manifest, and lists of frames from a peer. */
static gboolean check_ranges(const Fetch *fetch, GError **error)
{
    for (guint i = 0; i < fetch->count; i++) {
        const IngotRange *range = &fetch->ranges[i];
        if (range->length == 0 || range->length > fetch->blob_size ||
            range->offset > fetch->blob_size - range->length) {
            failure_set(fetch->remote, fetch->url, INGOT_ERROR_CORRUPT, error,
                        "the size that is said of it, %" G_GUINT64_FORMAT ", does not fit what it is made of",
                        fetch->blob_size);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean ingot_remote_get_ranges(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 blob_size,
                                 const IngotRange *ranges, guint count, IngotRangeFunc got, gpointer user,
                                 guint64 *received, GError **error)
{
    g_autofree char *url = http_digest_url(remote, name, "blobs", digest);
    Fetch fetch = {.remote = remote,
                   .url = url,
                   .name = name,
                   .digest = digest,
                   .blob_size = blob_size,
                   .ranges = ranges,
                   .count = count,
                   .got = got,
                   .user = user,
                   .received = received};
    g_autoptr(GError) problem = NULL;
    remote->ended = INGOT_REMOTE_OTHERWISE;
    if (!check_ranges(&fetch, error)) {
        return FALSE;
    }
    if (fetch_ranges(&fetch, &problem)) {
        return TRUE;
    }
    if (fetch.ignores) {
        return read_through(&fetch, error);
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

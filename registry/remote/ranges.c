/* Ranges of one blob over a few connections at once. */
#include <ingot/error.h>
#include <ingot/process.h>
#include <string.h>

#include "remote/http.h"

#define CONNECTIONS 4
#define RANGE_MAX (8u << 20) /* bytes of one request: bounds memory to CONNECTIONS times this */
#define WAIT_MS 500
#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */

typedef struct {
    CURL *curl;
    guint64 offset, length; /* asked for */
    GByteArray *data;
    gboolean busy, overrun, again; /* again: after a login */
} Slot;

typedef struct {
    IngotRemote *remote;
    char *url;
    const IngotRange *ranges;
    guint count, next;
    guint64 within; /* how much of ranges[next] is asked for */
    IngotRangeFunc got;
    gpointer user;
    guint64 *received;
    Slot slots[CONNECTIONS];
} Fetch;

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
    Slot *slot = user;
    if (slot->data->len + size * count > slot->length) {
        slot->overrun = TRUE; /* a server that sends more than the range: not the one that was asked for */
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
    auth_set(fetch->remote, slot->curl, "GET", fetch->url);
    curl_easy_setopt(slot->curl, CURLOPT_RANGE, text);
    curl_easy_setopt(slot->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(slot->curl, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(slot->curl, CURLOPT_PRIVATE, slot);
    curl_easy_setopt(slot->curl, CURLOPT_BUFFERSIZE, 256L << 10);
    g_byte_array_set_size(slot->data, 0);
    slot->busy = TRUE;
    slot->overrun = FALSE;
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
    if (!http_exchange(fetch->remote, &head, error) || (head.status == 401 && !http_refused(&head, error))) {
        return FALSE;
    }
    slot->again = TRUE;
    start(fetch, slot);
    return TRUE;
}

static gboolean take(Fetch *fetch, Slot *slot, CURLcode code, GError **error)
{
    long status = 0;
    curl_easy_getinfo(slot->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(fetch->remote->multi, slot->curl);
    slot->busy = FALSE;
    if (status == 401 && !slot->again) {
        return log_in(fetch, slot, error);
    }
    if (slot->overrun || (code == CURLE_OK && status == 200 && slot->offset > 0)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: the registry does not answer range requests",
                    fetch->url);
        return FALSE;
    }
    if (code != CURLE_OK) {
        return http_failed(code, fetch->url, error);
    }
    if (status != 206 && status != 200) {
        g_set_error(error, INGOT_ERROR, status == 404 ? INGOT_ERROR_NOT_FOUND : INGOT_ERROR_FAILED,
                    "GET %s: status %ld", fetch->url, status);
        return FALSE;
    }
    if (slot->data->len != slot->length) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK,
                    "%s: the range at offset %" G_GUINT64_FORMAT " ended early", fetch->url, slot->offset);
        return FALSE;
    }
    if (fetch->received != NULL) {
        *fetch->received += slot->length;
    }
    return fetch->got(slot->offset, slot->data->data, slot->data->len, fetch->user, error);
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

static gboolean run(Fetch *fetch, GError **error)
{
    for (;;) {
        gboolean busy = FALSE;
        for (guint i = 0; i < CONNECTIONS; i++) {
            if (!fetch->slots[i].busy && fetch->next < fetch->count && !ask(fetch, &fetch->slots[i], error)) {
                return FALSE;
            }
            busy = busy || fetch->slots[i].busy;
        }
        if (!busy) {
            return TRUE;
        }
        int running;
        curl_multi_perform(fetch->remote->multi, &running);
        if (!take_finished(fetch, error) || !ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (running > 0) {
            curl_multi_poll(fetch->remote->multi, NULL, 0, WAIT_MS, NULL);
        }
    }
}

gboolean ingot_remote_get_ranges(IngotRemote *remote, const char *name, const IngotDigest *digest, guint64 blob_size,
                                 const IngotRange *ranges, guint count, IngotRangeFunc got, gpointer user,
                                 guint64 *received, GError **error)
{
    for (guint i = 0; i < count; i++) {
        g_return_val_if_fail(ranges[i].length > 0 && ranges[i].offset + ranges[i].length <= blob_size, FALSE);
    }
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    Fetch fetch = {.remote = remote, .ranges = ranges, .count = count, .got = got, .user = user, .received = received};
    fetch.url = g_strdup_printf("%s/v2/%s/blobs/%s", remote->base, name, text);
    for (guint i = 0; i < CONNECTIONS; i++) {
        fetch.slots[i].curl = curl_easy_init();
        fetch.slots[i].data = g_byte_array_new();
    }
    gboolean ok = run(&fetch, error);
    for (guint i = 0; i < CONNECTIONS; i++) {
        if (fetch.slots[i].busy) {
            curl_multi_remove_handle(remote->multi, fetch.slots[i].curl);
        }
        curl_easy_cleanup(fetch.slots[i].curl);
        g_byte_array_unref(fetch.slots[i].data);
    }
    g_free(fetch.url);
    return ok;
}

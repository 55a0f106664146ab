/* Ranges of one blob over a few connections at once.
 *
 * The first request goes alone: its answer says how far away the registry is, whether it answers ranges, whether it
 * takes lists of them (Ingot-Ranges), and where it leads. Then requests follow on as many connections as pace.h has it.
 * What comes is handed on before anything is waited for: whoever is killed has lost nothing but what was on its way. */
#include <ingot/error.h>
#include <string.h>

#include "remote/failure.h"
#include "remote/gather.h"
#include "remote/http.h"
#include "remote/location.h"
#include "remote/pace.h"
#include "remote/patience.h"
#include "remote/readthrough.h"
#include "remote/relay.h"
#include "remote/spans.h"

#define WAIT_MS 500
#define ERROR_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */
#define ALONE (1u << 20)      /* bytes of a range that is as well asked for alone as in a list */

typedef struct Fetch Fetch;

typedef struct {
    Fetch *fetch;
    CURL *curl;
    Span span;        /* what is asked for and has not come */
    guint64 position; /* in the blob, of the next byte of the answer */
    guint64 left;     /* bytes of the answer that have not come */
    gboolean listed;  /* it asks by a list */
    gboolean led;     /* it asks where the registry has led before */
    GByteArray *list;
    struct curl_slist *headers;

    gboolean begun; /* the answer's status and headers are known */
    gboolean good;  /* it is what was asked for */
    long status;
    guint64 told;         /* where its Content-Range begins; as asked for where it has none */
    char *offered;        /* its Ingot-Ranges, or NULL */
    guint64 came;         /* bytes of it, where it is good */
    gsize refusal;        /* bytes of an answer that is not the range */
    gboolean ignored;     /* it is the whole blob, more than the range, or another one */
    GError *failure;      /* from within a callback */
    gboolean busy, again; /* again: after a login */
    gint64 wait_until;    /* monotonic: until then it is not asked again; 0: nothing is waited for */
    Patience patience;    /* for this span */
} Slot;

struct Fetch {
    IngotRemote *remote;
    char *url;
    guint64 blob_size;
    const IngotRange *ranges;
    guint count;
    Spans spans;
    Gather gather;
    IngotRangeFunc got;
    gpointer user;
    guint64 *received;
    gboolean begun;   /* an answer was what was asked for */
    gboolean ignores; /* the registry does not answer range requests */
    char *list_url;   /* takes lists of ranges; NULL: nothing is known to */
    gboolean no_list; /* it does not take them after all */
    char *target;     /* where the registry leads; NULL: it gives the blob itself */
    Pace pace;
    Slot slots[PACE_CONNECTIONS_MAX];
};

/* --- an answer --- */

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    static const char ranges[] = "ingot-ranges:";
    Slot *slot = user;
    g_autofree char *line = g_strndup(data, size * count);
    if (g_str_has_prefix(line, "HTTP/")) { /* another answer, after a redirection */
        slot->told = slot->position;
        g_clear_pointer(&slot->offered, g_free);
    } else if (g_ascii_strncasecmp(line, ranges, strlen(ranges)) == 0) {
        g_free(slot->offered);
        slot->offered = g_strdup(g_strstrip(line + strlen(ranges)));
    } else {
        http_content_range(line, &slot->told);
    }
    return size * count;
}

static gboolean is_own(const IngotRemote *remote, const char *url)
{
    gsize length = strlen(remote->base);
    return strncmp(url, remote->base, length) == 0 && url[length] == '/';
}

/* Where the registry leads is asked at once from then on, where that is another host, to which no login goes. */
static void learn_target(Fetch *fetch, const Slot *slot)
{
    const char *effective = NULL;
    curl_easy_getinfo(slot->curl, CURLINFO_EFFECTIVE_URL, &effective);
    if (effective != NULL && !is_own(fetch->remote, effective)) {
        g_free(fetch->target);
        fetch->target = g_strdup(effective);
    }
}

/* Only the registry itself is told more than one range. */
static void learn_list(Fetch *fetch, const Slot *slot)
{
    char *url = fetch->no_list || fetch->list_url != NULL || slot->offered == NULL
                    ? NULL
                    : location_resolve(fetch->remote->options, fetch->remote->base, fetch->url, slot->offered, NULL);
    if (url != NULL && is_own(fetch->remote, url)) {
        fetch->list_url = g_steal_pointer(&url);
    }
    g_free(url);
}

static void learn(Fetch *fetch, const Slot *slot)
{
    curl_off_t asked = 0, answered = 0;
    long redirections = 0;
    curl_easy_getinfo(slot->curl, CURLINFO_PRETRANSFER_TIME_T, &asked);
    curl_easy_getinfo(slot->curl, CURLINFO_STARTTRANSFER_TIME_T, &answered);
    curl_easy_getinfo(slot->curl, CURLINFO_REDIRECT_COUNT, &redirections);
    pace_answered(&fetch->pace, (gint64)(answered - asked));
    if (redirections > 0) {
        learn_target(fetch, slot);
    } else if (!slot->led) {
        learn_list(fetch, slot);
    }
    fetch->begun = TRUE;
}

/* A list's answer has the length that was asked for, and nothing else does by chance. */
static gboolean is_list_answer(const Slot *slot)
{
    curl_off_t length = -1;
    curl_easy_getinfo(slot->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return slot->status == 200 && length >= 0 && (guint64)length == slot->left;
}

static void slot_begin(Slot *slot)
{
    Fetch *fetch = slot->fetch;
    slot->begun = TRUE;
    curl_easy_getinfo(slot->curl, CURLINFO_RESPONSE_CODE, &slot->status);
    if (slot->listed) {
        slot->good = is_list_answer(slot);
    } else {
        gboolean whole = slot->position == 0 && slot->left == fetch->blob_size;
        slot->ignored = (slot->status == 200 && !whole) || (slot->status == 206 && slot->told != slot->position);
        slot->good = (slot->status == 200 || slot->status == 206) && !slot->ignored;
    }
    if (slot->good) {
        learn(fetch, slot);
    }
}

/* Hands on what is wanted of it. FALSE: it is more than was asked for, or the fetch has failed. */
static gboolean slot_take(Slot *slot, const guint8 *data, gsize size)
{
    Fetch *fetch = slot->fetch;
    IngotRange next;
    while (size > 0) {
        if (!spans_next(&fetch->spans, &slot->span, &next)) {
            slot->ignored = TRUE;
            return FALSE;
        }
        gsize between = slot->listed ? 0 : (gsize)MIN(next.offset - slot->position, (guint64)size);
        gsize wanted = (gsize)MIN(next.length, (guint64)(size - between));
        if (wanted > 0 && !gather_add(&fetch->gather, next.offset, data + between, wanted, &slot->failure)) {
            return FALSE;
        }
        spans_came(&fetch->spans, &slot->span, wanted);
        slot->position = wanted > 0 ? next.offset + wanted : slot->position + between;
        data += between + wanted;
        size -= between + wanted;
    }
    return TRUE;
}

/* While one connection brings something the others may wait: a registry that serves few at once refuses the rest all
 * the while. */
static void renew_patience(Fetch *fetch)
{
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        patience_renew(&fetch->slots[i].patience);
    }
}

static size_t on_data(char *data, size_t size, size_t count, void *user)
{
    Slot *slot = user;
    Fetch *fetch = slot->fetch;
    gsize length = size * count;
    if (!slot->begun) {
        slot_begin(slot);
    }
    if (slot->ignored) {
        return 0;
    }
    if (!slot->good) { /* what it says is in its status */
        slot->refusal += length;
        return slot->refusal > ERROR_MAX ? 0 : length;
    }
    pace_came(&fetch->pace, g_get_monotonic_time(), length);
    if (fetch->received != NULL) {
        *fetch->received += length;
    }
    slot->left -= MIN((guint64)length, slot->left);
    slot->came += length;
    renew_patience(fetch);
    return slot_take(slot, (const guint8 *)data, length) ? length : 0;
}

/* --- a request --- */

static void slot_set_list(Slot *slot)
{
    CURL *curl = slot->curl;
    slot->list = spans_list(&slot->fetch->spans, &slot->span, &slot->left);
    slot->headers = curl_slist_append(curl_slist_append(NULL, "Expect:"), "Content-Type: application/octet-stream");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, slot->list->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)slot->list->len);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, slot->headers);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); /* that makes a GET of it, which gives the whole blob */
}

static void slot_set_range(Slot *slot)
{
    IngotRange whole = spans_whole(&slot->fetch->spans, &slot->span);
    g_autofree char *text =
        g_strdup_printf("%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, whole.offset, whole.offset + whole.length - 1);
    slot->position = whole.offset;
    slot->left = whole.length;
    curl_easy_setopt(slot->curl, CURLOPT_RANGE, text);
}

static void slot_forget_request(Slot *slot)
{
    g_clear_pointer(&slot->list, g_byte_array_unref);
    g_clear_pointer(&slot->headers, curl_slist_free_all);
    g_clear_pointer(&slot->offered, g_free);
}

/* Asks for what has not come of the span. */
static void start(Slot *slot)
{
    Fetch *fetch = slot->fetch;
    CURL *curl = slot->curl;
    slot_forget_request(slot);
    slot->led = !slot->listed && fetch->target != NULL;
    const char *url = slot->listed ? fetch->list_url : slot->led ? fetch->target : fetch->url;
    http_prepare_get(curl, fetch->remote, url, !slot->led, on_header, on_data, slot);
    (slot->listed ? slot_set_list : slot_set_range)(slot);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, slot);
    slot->busy = TRUE;
    slot->begun = slot->good = slot->ignored = FALSE;
    slot->told = slot->position;
    slot->came = 0;
    slot->refusal = 0;
    slot->wait_until = 0;
    curl_multi_add_handle(fetch->remote->multi, curl);
}

/* Takes what is to be asked for next. An access token that is about to end is renewed first. */
static gboolean ask(Slot *slot, GError **error)
{
    Fetch *fetch = slot->fetch;
    slot->listed = fetch->list_url != NULL && !fetch->no_list && spans_first(&fetch->spans) < ALONE;
    if (slot->listed) {
        spans_take_list(&fetch->spans, &slot->span);
    } else {
        spans_take(&fetch->spans, pace_gap(&fetch->pace), &slot->span);
    }
    slot->again = FALSE;
    slot->patience = patience_of(fetch->remote->patience);
    if (slot->curl == NULL) {
        slot->curl = curl_easy_init();
    }
    if (!auth_ready(fetch->remote, "GET", fetch->url, error)) {
        return FALSE;
    }
    start(slot);
    return TRUE;
}

/* The access token has ended all the same, or there was none yet: an ordinary exchange finds out what is asked for. */
static gboolean log_in(Slot *slot, GError **error)
{
    Fetch *fetch = slot->fetch;
    g_auto(HttpExchange) head = {.method = "HEAD", .url = g_strdup(fetch->url), .limit = ERROR_MAX};
    if (!http_exchange(fetch->remote, &head, error) ||
        (head.status == 401 && !http_refused(fetch->remote, &head, error))) {
        return FALSE;
    }
    slot->again = TRUE;
    start(slot);
    return TRUE;
}

static gboolean refused(const Slot *slot, GError **error)
{
    const Fetch *fetch = slot->fetch;
    http_note_status(fetch->remote, slot->curl, "GET", fetch->url, slot->status);
    return failure_set_status(fetch->remote, fetch->url, slot->status, NULL, "", error);
}

/* --- their ends --- */

/* What fails where the registry led before, it is asked itself again: such an address may last for minutes alone. */
static void ask_registry(Slot *slot)
{
    g_clear_pointer(&slot->fetch->target, g_free);
    start(slot);
}

/* Something between may let ranges pass and no lists. */
static void ask_without_list(Fetch *fetch, Slot *slot)
{
    fetch->no_list = TRUE;
    spans_give_back(&fetch->spans, &slot->span);
}

static gboolean end_badly(Slot *slot, CURLcode code, GError **error)
{
    Fetch *fetch = slot->fetch;
    IngotRange next;
    if (slot->ignored) {
        fetch->ignores = TRUE;
        return failure_set(fetch->remote, fetch->url, INGOT_ERROR_NETWORK, error,
                           "the registry does not answer range requests");
    }
    if (code != CURLE_OK) {
        return http_failed(fetch->remote, slot->curl, code, fetch->url, error);
    }
    return slot->good && spans_next(&fetch->spans, &slot->span, &next)
               ? failure_set(fetch->remote, fetch->url, INGOT_ERROR_NETWORK, error,
                             "a range ends at %" G_GUINT64_FORMAT ", before %" G_GUINT64_FORMAT, next.offset,
                             next.offset + next.length)
               : refused(slot, error);
}

/* The end of a transfer, as patience takes it: one that brought something and stands still is broken off, and so is
 * one that brought too little. */
static CURLcode end_of(const Slot *slot, CURLcode code)
{
    gboolean stands = code == CURLE_OPERATION_TIMEDOUT && slot->came > 0;
    return slot->good && (stands || code == CURLE_OK) ? CURLE_PARTIAL_FILE : code;
}

/* Of a span that has not come to its end: asks for the rest of it, at once or later. FALSE: an error. */
static gboolean go_on(Slot *slot, CURLcode code, GError **error)
{
    Fetch *fetch = slot->fetch;
    if (slot->led) {
        ask_registry(slot);
        return TRUE;
    }
    if (slot->status == 401 && !slot->again) {
        return log_in(slot, error);
    }
    gint64 wait = slot->ignored ? -1 : patience_take(&slot->patience, slot->curl, end_of(slot, code), slot->status);
    if (wait >= 0) {
        slot->wait_until = g_get_monotonic_time() + wait;
        slot->again = FALSE;
        return TRUE;
    }
    if (slot->listed && !slot->good && code == CURLE_OK && !patience_is_passing(slot->status)) {
        ask_without_list(fetch, slot);
        return TRUE;
    }
    return end_badly(slot, code, error);
}

static gboolean take(Slot *slot, CURLcode code, GError **error)
{
    Fetch *fetch = slot->fetch;
    IngotRange next;
    curl_multi_remove_handle(fetch->remote->multi, slot->curl);
    slot->busy = FALSE;
    if (slot->refusal > ERROR_MAX) { /* its rest was not wanted */
        code = CURLE_OK;
    }
    if (!slot->begun && code == CURLE_OK) {
        slot_begin(slot);
    }
    if (slot->failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&slot->failure));
        return FALSE;
    }
    gboolean whole = slot->good && !slot->ignored && !spans_next(&fetch->spans, &slot->span, &next);
    return whole || go_on(slot, code, error);
}

static gboolean take_finished(Fetch *fetch, GError **error)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(fetch->remote->multi, &left)) != NULL) {
        Slot *slot;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&slot);
        if (!take(slot, code, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* --- all of them --- */

/* Whether a slot has something to do; *outstanding: bytes that are waited for. */
static gboolean slot_is_used(const Slot *slot, guint64 *outstanding)
{
    *outstanding += slot->busy ? slot->left : 0;
    return slot->busy || slot->wait_until > 0;
}

static Slot *slot_unused(Fetch *fetch)
{
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        guint64 none = 0;
        if (!slot_is_used(&fetch->slots[i], &none)) {
            return &fetch->slots[i];
        }
    }
    return NULL;
}

/* Whether another request is of use now. The first goes alone. */
static gboolean wants_more(const Fetch *fetch)
{
    guint used = 0;
    guint64 outstanding = 0;
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        used += slot_is_used(&fetch->slots[i], &outstanding) ? 1 : 0;
    }
    return !spans_is_empty(&fetch->spans) &&
           (used == 0 || (fetch->begun && pace_wants_more(&fetch->pace, used, outstanding)));
}

/* Gives the slots something to do, if there is anything. FALSE: an error. */
static gboolean feed(Fetch *fetch, GError **error)
{
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        Slot *slot = &fetch->slots[i];
        if (slot->wait_until > 0 && g_get_monotonic_time() >= slot->wait_until) {
            start(slot);
        }
    }
    while (wants_more(fetch)) {
        if (!ask(slot_unused(fetch), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean is_done(Fetch *fetch)
{
    guint64 outstanding = 0;
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        if (slot_is_used(&fetch->slots[i], &outstanding)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean run(Fetch *fetch, GError **error)
{
    for (;;) {
        if (!feed(fetch, error)) {
            return FALSE;
        }
        if (is_done(fetch)) {
            return TRUE;
        }
        int running;
        curl_multi_perform(fetch->remote->multi, &running);
        if (!gather_hand_on(&fetch->gather, error) || !take_finished(fetch, error) ||
            !http_goes_on(fetch->remote, error)) {
            return FALSE;
        }
        /* One that has ended leaves room for another at once. */
        if (!wants_more(fetch)) {
            curl_multi_poll(fetch->remote->multi, NULL, 0, running > 0 ? WAIT_MS : WAIT_MS / 10, NULL);
        }
    }
}

static gboolean fetch_ranges(Fetch *fetch, GError **error)
{
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        fetch->slots[i].fetch = fetch;
    }
    spans_init(&fetch->spans, fetch->ranges, fetch->count);
    gather_init(&fetch->gather, fetch->got, fetch->user);
    gboolean ok = run(fetch, error);
    gather_clear(&fetch->gather);
    for (guint i = 0; i < PACE_CONNECTIONS_MAX; i++) {
        Slot *slot = &fetch->slots[i];
        if (slot->busy) {
            curl_multi_remove_handle(fetch->remote->multi, slot->curl);
        }
        curl_easy_cleanup(slot->curl);
        slot_forget_request(slot);
        g_clear_error(&slot->failure);
        spans_give_back(&fetch->spans, &slot->span);
    }
    g_free(fetch->list_url);
    g_free(fetch->target);
    return ok;
}

/* What has come stays: by now it may be checked, and in use. */
static gboolean read_the_rest(Fetch *fetch, const char *name, const IngotDigest *digest, GError **error)
{
    g_autoptr(GArray) left = spans_left(&fetch->spans);
    return left->len == 0 || read_through(fetch->remote, name, digest, (const IngotRange *)(gpointer)left->data,
                                          left->len, fetch->got, fetch->user, fetch->received, error);
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
                   .blob_size = blob_size,
                   .ranges = ranges,
                   .count = count,
                   .got = got,
                   .user = user,
                   .received = received};
    GError *problem = NULL;
    remote->ended = INGOT_REMOTE_OTHERWISE;
    if (!check_ranges(&fetch, error)) {
        return FALSE;
    }
    gboolean ok = fetch_ranges(&fetch, &problem);
    if (fetch.ignores) {
        g_clear_error(&problem);
        ok = read_the_rest(&fetch, name, digest, error);
    } else if (!ok) {
        g_propagate_error(error, problem);
    }
    spans_clear(&fetch.spans);
    return ok;
}

#include "server/http/intake.h"

#include <string.h>

#include "base/share.h"
#include "server/http/client.h"

#define SWALLOW_MAX (16u << 20) /* bytes of a refused body that are read, so that the client hears the refusal */
/* Bytes of a streamed body that a pool takes at once: with what comes at once beside them, less than the power of two
 * to which its array grows, which the allocator keeps at hand. */
#define STORE_SIZE (224u << 10)
#define STREAMED_MAX (32u << 20) /* bytes of all streamed bodies beyond which each is taken as it comes */
#define SMALL (8u << 20)         /* bytes that a route's body may have which counts as a small one */
#define LARGE (64u << 20)        /* bytes that any may have which is kept */

/* Bodies of which kind are held, and how many bytes of each may be: what comes as a large one never takes the room of
 * small ones. */
typedef enum { INTAKE_SMALL, INTAKE_LARGE, INTAKE_STREAMED, INTAKES } IntakeKind;
static const gsize most_held[INTAKES] = {
    [INTAKE_SMALL] = 48u << 20, [INTAKE_LARGE] = SHARE_ROOM_FOR(LARGE), [INTAKE_STREAMED] = G_MAXSIZE};

static struct {
    GMutex lock;
    gsize bytes[INTAKES];
    GHashTable *networks[INTAKES]; /* a client's network -> bytes of its bodies (gsize); NULL: none yet */
} held;

static gsize most_of(const Request *request)
{
    return request->match.route == NULL ? 0 : request->match.route->body_max;
}

static IntakeKind kind_of(const Request *request)
{
    gsize most = most_of(request);
    return most == ROUTE_STREAMED ? INTAKE_STREAMED : most > SMALL ? INTAKE_LARGE : INTAKE_SMALL;
}

/* What is held of a network; NULL: nothing. Under the lock. */
static gsize *held_of(IntakeKind kind, guint64 network)
{
    return held.networks[kind] == NULL ? NULL : g_hash_table_lookup(held.networks[kind], &network);
}

/* Under the lock. */
static void hold(IntakeKind kind, guint64 network, gsize more)
{
    gsize *bytes = held_of(kind, network);
    if (held.networks[kind] == NULL) {
        held.networks[kind] = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    }
    if (bytes == NULL) {
        bytes = g_new0(gsize, 1);
        g_hash_table_insert(held.networks[kind], g_memdup2(&network, sizeof network), bytes);
    }
    *bytes += more;
    held.bytes[kind] += more;
}

/* Whether so much more may be held for the request, of all bodies of its kind. Under the lock. */
static gboolean has_room(const Request *request, IntakeKind kind, gsize more)
{
    guint64 network = client_network(request);
    const gsize *bytes = held_of(kind, network);
    gsize theirs = bytes == NULL ? 0 : *bytes;
    return share_allows(most_held[kind], held.bytes[kind], network, theirs, more, theirs == request->buffered);
}

/* FALSE: there is no room. */
static gboolean account_add(Request *request, gsize more)
{
    IntakeKind kind = kind_of(request);
    g_mutex_lock(&held.lock);
    gboolean ok = kind == INTAKE_STREAMED || has_room(request, kind, more);
    if (ok) {
        hold(kind, client_network(request), more);
        request->buffered += more;
    }
    g_mutex_unlock(&held.lock);
    return ok;
}

static void account_end(Request *request)
{
    IntakeKind kind = kind_of(request);
    guint64 network = client_network(request);
    if (request->buffered == 0) {
        return;
    }
    g_mutex_lock(&held.lock);
    gsize *theirs = held_of(kind, network);
    held.bytes[kind] -= request->buffered;
    *theirs -= request->buffered;
    if (*theirs == 0) {
        g_hash_table_remove(held.networks[kind], &network);
    }
    g_mutex_unlock(&held.lock);
    request->buffered = 0;
}

static gboolean streams_too_much(void)
{
    g_mutex_lock(&held.lock);
    gboolean much = held.bytes[INTAKE_STREAMED] > STREAMED_MAX;
    g_mutex_unlock(&held.lock);
    return much;
}

static gboolean parse_length(const char *text, guint64 *length)
{
    return text != NULL && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, length, NULL);
}

static enum MHD_Result refuse_size(Request *request)
{
    gsize most = most_of(request);
    g_autofree char *message = most == 0 ? g_strdup("no body is taken here")
                                         : g_strdup_printf("a body may have %" G_GSIZE_FORMAT " bytes here", most);
    return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", message);
}

void intake_end(Request *request)
{
    account_end(request);
    g_byte_array_unref(request->body);
    request->body = g_byte_array_new();
}

/* A client that sends a body unasked reads no answer before the body's end: were the connection closed on it, the
 * refusal would be lost with it ("connection reset"). A body of unknown length, or a large one, is not worth that. A
 * request without a body is answered after its (empty) end, so that its connection stays open. */
void intake_begin(Request *request)
{
    const char *encoding = request_header(request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    guint64 length = 0;
    gboolean given = parse_length(request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH), &length);
    gboolean empty = encoding == NULL && (!given || length == 0);
    request->swallows =
        empty || (encoding == NULL && length <= SWALLOW_MAX && request_header(request, MHD_HTTP_HEADER_EXPECT) == NULL);
    if (encoding != NULL && request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH) != NULL) {
        /* A proxy before us may have believed the other one (RFC 9112, section 6.1). */
        request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "Content-Length beside Transfer-Encoding");
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONNECTION, "close");
    } else if (request->status == 0 && !empty && (length > most_of(request) || most_of(request) == 0)) {
        refuse_size(request);
    }
}

gboolean intake_add(Request *request, const char *data, gsize size)
{
    request->received += size;
    if (request->failure != NULL || request->status != 0) {
        return FALSE;
    }
    gboolean streamed = most_of(request) == ROUTE_STREAMED;
    if (streamed && request->take == NULL) {
        return FALSE; /* this request has no use for it */
    }
    if (!streamed && request->received > most_of(request)) {
        intake_end(request);
        refuse_size(request);
        return FALSE;
    }
    if (!account_add(request, size)) {
        intake_end(request);
        request_refuse_busy(request, "too much is being sent to this registry at once; try again");
        return FALSE;
    }
    g_byte_array_append(request->body, (const guint8 *)data, (guint)size);
    return streamed && (request->body->len >= STORE_SIZE || streams_too_much());
}

void intake_store(Request *request)
{
    if (request->failure == NULL && request->status == 0 && intake_has(request)) {
        request->take(request, request->body->data, request->body->len, &request->failure);
    }
    if (request->take != NULL) {
        intake_end(request); /* the room too: the client may be long in filling it again */
    }
}

gboolean intake_has(const Request *request)
{
    return request->take != NULL && request->body->len > 0;
}

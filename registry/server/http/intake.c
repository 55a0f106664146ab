#include "server/http/intake.h"

#include <string.h>

#define SWALLOW_MAX (16u << 20)  /* bytes of a refused body that are read, so that the client hears the refusal */
#define STORE_SIZE (256u << 10)  /* bytes of a streamed body that a pool takes at once */
#define STREAMED_MAX (32u << 20) /* bytes of all streamed bodies beyond which each is taken as it comes */
#define KEPT_MAX (160u << 20)    /* bytes of all bodies that are held */

static gssize held; /* atomic: bytes of bodies, of all requests */

static void account(Request *request, gssize more)
{
    request->buffered = (gsize)((gssize)request->buffered + more);
    g_atomic_pointer_add(&held, more);
}

static gssize held_now(void)
{
    return g_atomic_pointer_get(&held);
}

static gboolean parse_length(const char *text, guint64 *length)
{
    return text != NULL && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, length, NULL);
}

static enum MHD_Result refuse_size(Request *request)
{
    gsize most = request->match.route == NULL ? 0 : request->match.route->body_max;
    g_autofree char *message = most == 0 ? g_strdup("no body is taken here")
                                         : g_strdup_printf("a body may have %" G_GSIZE_FORMAT " bytes here", most);
    return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", message);
}

static gsize most_of(const Request *request)
{
    return request->match.route == NULL ? 0 : request->match.route->body_max;
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
    if (!streamed && held_now() + (gssize)size > KEPT_MAX) {
        intake_end(request);
        request_refuse_busy(request, "too much is being sent to this registry at once; try again");
        return FALSE;
    }
    g_byte_array_append(request->body, (const guint8 *)data, (guint)size);
    account(request, (gssize)size);
    return streamed && (request->body->len >= STORE_SIZE || held_now() > STREAMED_MAX);
}

void intake_store(Request *request)
{
    if (request->failure == NULL && request->status == 0 && intake_has(request)) {
        request->take(request, request->body->data, request->body->len, &request->failure);
    }
    if (request->take != NULL) {
        g_byte_array_set_size(request->body, 0);
        account(request, -(gssize)request->buffered);
    }
}

gboolean intake_has(const Request *request)
{
    return request->take != NULL && request->body->len > 0;
}

void intake_end(Request *request)
{
    account(request, -(gssize)request->buffered);
    g_byte_array_unref(request->body);
    request->body = g_byte_array_new();
}

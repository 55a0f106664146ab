#include "server/http/parts.h"

#include <string.h>

#include "server/http/log.h"
#include "server/http/watch.h"

#define BLOCK (256u << 10) /* bytes that the server asks for at once */

/* Where each part stands in the body: a text, or, where that is NULL, a range of the body. */
typedef struct {
    guint64 start, length;
    char *text;
    guint64 offset;
} Part;

typedef struct {
    Body *body;
    GArray *parts; /* of Part, in order, without gaps */
    guint at;      /* the part that was read last */
} Answer;

static void part_clear(gpointer data)
{
    g_free(((Part *)data)->text);
}

static GArray *parts_new(void)
{
    GArray *parts = g_array_new(FALSE, FALSE, sizeof(Part));
    g_array_set_clear_func(parts, part_clear);
    return parts;
}

static guint64 end_of(const GArray *parts)
{
    if (parts->len == 0) {
        return 0;
    }
    const Part *last = &g_array_index(parts, Part, parts->len - 1);
    return last->start + last->length;
}

static void add_text(GArray *parts, char *text)
{
    Part part = {.start = end_of(parts), .length = strlen(text), .text = text};
    g_array_append_val(parts, part);
}

static void add_range(GArray *parts, const ByteRange *range)
{
    Part part = {.start = end_of(parts), .length = range->length, .offset = range->offset};
    g_array_append_val(parts, part);
}

static GArray *lay_out(guint64 size, const GArray *ranges, const char *type, const char *boundary)
{
    GArray *parts = parts_new();
    for (guint i = 0; i < ranges->len; i++) {
        const ByteRange *range = &g_array_index(ranges, ByteRange, i);
        add_text(parts, g_strdup_printf("\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" G_GUINT64_FORMAT
                                        "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT "\r\n\r\n",
                                        boundary, type, range->offset, range->offset + range->length - 1, size));
        add_range(parts, range);
    }
    add_text(parts, g_strdup_printf("\r\n--%s--\r\n", boundary));
    return parts;
}

/* The part that position lies in; it is asked for in rising order. */
static const Part *part_at(Answer *answer, guint64 position)
{
    const Part *part = &g_array_index(answer->parts, Part, answer->at);
    if (position < part->start) {
        answer->at = 0;
    }
    while (part = &g_array_index(answer->parts, Part, answer->at), position >= part->start + part->length) {
        answer->at++;
    }
    return part;
}

static ssize_t read_body(void *user, uint64_t position, char *buffer, size_t max)
{
    Answer *answer = user;
    const Part *part = part_at(answer, position);
    guint64 within = position - part->start;
    size_t count = (size_t)MIN((guint64)max, part->length - within);
    if (part->text != NULL) {
        memcpy(buffer, part->text + within, count);
        return (ssize_t)count;
    }
    g_autoptr(GError) error = NULL;
    watch_enter();
    gssize got = answer->body->kind->read(answer->body->source, part->offset + within, buffer, count, &error);
    watch_leave();
    if (got <= 0) {
        log_error("%s", error == NULL ? "what is sent is shorter than it was" : error->message);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    return got;
}

static void free_answer(void *user)
{
    Answer *answer = user;
    body_unref(answer->body);
    g_array_unref(answer->parts);
    g_free(answer);
}

static struct MHD_Response *respond(Body *body, GArray *parts)
{
    Answer *answer = g_new0(Answer, 1);
    answer->body = body_ref(body);
    answer->parts = parts;
    struct MHD_Response *response =
        MHD_create_response_from_callback(end_of(parts), BLOCK, read_body, answer, free_answer);
    if (response == NULL) {
        free_answer(answer);
    }
    return response;
}

struct MHD_Response *parts_response(Body *body, const GArray *ranges, const char *type, const char *boundary,
                                    guint64 *total)
{
    GArray *parts = lay_out(body->size, ranges, type, boundary);
    *total = end_of(parts);
    return respond(body, parts);
}

struct MHD_Response *parts_run(Body *body, guint64 offset, guint64 size)
{
    const ByteRange range = {.offset = offset, .length = size};
    GArray *parts = parts_new();
    add_range(parts, &range);
    return respond(body, parts);
}

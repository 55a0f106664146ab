#include "server/parts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (64u << 10) /* bytes that the server asks for at once */

/* Where each part stands in the body: a text, or, where that is NULL, a range of the file. */
typedef struct {
    guint64 start, length;
    char *text;
    guint64 offset;
} Part;

typedef struct {
    int fd;
    GArray *parts; /* of Part, in order, without gaps */
    guint at;      /* the part that was read last */
} Body;

static void part_clear(gpointer data)
{
    g_free(((Part *)data)->text);
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
    GArray *parts = g_array_new(FALSE, FALSE, sizeof(Part));
    g_array_set_clear_func(parts, part_clear);
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
static const Part *part_at(Body *body, guint64 position)
{
    const Part *part = &g_array_index(body->parts, Part, body->at);
    if (position < part->start) {
        body->at = 0;
    }
    while (part = &g_array_index(body->parts, Part, body->at), position >= part->start + part->length) {
        body->at++;
    }
    return part;
}

static ssize_t read_body(void *user, uint64_t position, char *buffer, size_t max)
{
    Body *body = user;
    const Part *part = part_at(body, position);
    guint64 within = position - part->start;
    size_t count = (size_t)MIN((guint64)max, part->length - within);
    if (part->text != NULL) {
        memcpy(buffer, part->text + within, count);
        return (ssize_t)count;
    }
    ssize_t got;
    do {
        got = pread(body->fd, buffer, count, (off_t)(part->offset + within));
    } while (got < 0 && errno == EINTR);
    return got > 0 ? got : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_body(void *user)
{
    Body *body = user;
    close(body->fd);
    g_array_unref(body->parts);
    g_free(body);
}

struct MHD_Response *parts_response(int fd, guint64 size, const GArray *ranges, const char *type, const char *boundary,
                                    guint64 *total)
{
    Body *body = g_new0(Body, 1);
    body->fd = fd;
    body->parts = lay_out(size, ranges, type, boundary);
    *total = end_of(body->parts);
    struct MHD_Response *response = MHD_create_response_from_callback(*total, BLOCK, read_body, body, free_body);
    if (response == NULL) {
        free_body(body);
    }
    return response;
}

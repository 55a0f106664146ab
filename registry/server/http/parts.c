#include "server/http/parts.h"

#include <string.h>

#include "server/http/ahead.h"
#include "server/http/client.h"
#include "server/http/log.h"
#include "server/http/watch.h"

#define SOON (10 * G_TIME_SPAN_MILLISECOND)   /* when what has not come is asked for again first */
#define LATER (500 * G_TIME_SPAN_MILLISECOND) /* and at most */

static gint answers; /* atomic: that have not ended */

/* Bytes that the library asks for at once; it keeps as many for each answer until that has ended, so they are fewer
 * where answers are many: slow readers shall not fill the memory. */
static gsize block_of(gint others)
{
    return others < 128 ? 256u << 10 : others < 1024 ? 16u << 10 : 4u << 10;
}

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

    struct MHD_Connection *connection;
    WorkPool *pool;
    guint8 *block; /* what a thread of the pool has read; NULL: nothing */
    gsize length, used;
    gsize ahead;    /* bytes of the block that count as read ahead */
    guint64 offset; /* in the body: what it is to read */
    guint64 rest;   /* bytes of the range from there on */
    gint64 delay;   /* after which what has not come is asked for again; microseconds, 0: it was there at once */
    gboolean handed, refused, failed;
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

/* Reads what the answer asks for, at least a byte of it. */
static gssize read_some(Answer *answer, void *buffer, gsize size)
{
    g_autoptr(GError) error = NULL;
    gssize got = answer->body->kind->read(answer->body->source, answer->offset, buffer, size, &error);
    if (got < 0 || (got == 0 && !answer->body->kind->far)) {
        log_error("%s", error == NULL ? "what is sent is shorter than it was" : error->message);
    }
    return got;
}

/* What has not come is waited for by nobody: the thread goes on with others. */
static gboolean ask_later(Answer *answer, WorkTask task)
{
    answer->delay = answer->delay == 0 ? SOON : MIN(2 * answer->delay, LATER);
    return answer->body->kind->far && !client_has_left(answer->connection) &&
           work_pool_push_later(answer->pool, task, answer, answer->delay);
}

static void block_free(Answer *answer)
{
    g_clear_pointer(&answer->block, g_free);
    ahead_end(answer->ahead);
    answer->ahead = 0;
}

/* Of what is far more is read than the client takes at once. */
static gssize block_read(Answer *answer)
{
    answer->ahead =
        !answer->body->kind->far ? 0 : ahead_begin(answer->length, answer->rest, (guint)g_atomic_int_get(&answers));
    gsize size = MAX(answer->length, answer->ahead);
    answer->block = g_malloc(size);
    gssize got = read_some(answer, answer->block, size);
    gsize over = answer->ahead - MIN(answer->ahead, (gsize)MAX(got, 0));
    if (got > 0 && over > 0) {
        answer->block = g_realloc(answer->block, (gsize)got);
        answer->ahead -= over;
        ahead_end(over);
    }
    return got;
}

static void read_task(gpointer data)
{
    Answer *answer = data;
    gssize got = block_read(answer);
    if (got == 0) {
        block_free(answer);
        if (ask_later(answer, read_task)) {
            return;
        }
    }
    answer->delay = 0;
    answer->length = (gsize)MAX(got, 0);
    answer->failed = got <= 0;
    MHD_resume_connection(answer->connection);
}

/* The loop goes on with others meanwhile, and asks again afterwards. */
static ssize_t hand_over(Answer *answer, gsize size, guint64 rest)
{
    answer->length = size;
    answer->rest = rest;
    answer->used = 0;
    answer->handed = TRUE;
    watch_suspend(answer->connection);
    MHD_suspend_connection(answer->connection);
    if (!work_pool_push(answer->pool, NULL, read_task, answer)) {
        answer->failed = answer->body->kind->far; /* the loop waits for no other machine */
        answer->refused = TRUE;
        MHD_resume_connection(answer->connection);
    }
    return 0;
}

/* Where the pool has no room, what is sent goes on, if slowly, by the loop itself. */
static ssize_t read_here(Answer *answer, char *buffer, gsize size)
{
    watch_enter();
    gssize got = read_some(answer, buffer, size);
    watch_leave();
    return got <= 0 ? MHD_CONTENT_READER_END_WITH_ERROR : got;
}

/* What has been checked and is in memory waits for no disk: the loop reads it itself, which spares a thread, a copy and
 * two turns of the loop for each block. 0: that is for a thread. */
static gsize read_at_once(const Body *body, guint64 offset, void *buffer, gsize size)
{
    return body->kind->at_once == NULL ? 0 : body->kind->at_once(body->source, offset, buffer, size);
}

static ssize_t give_block(Answer *answer, char *buffer, gsize size)
{
    gsize count = MIN(size, answer->length - answer->used);
    memcpy(buffer, answer->block + answer->used, count);
    answer->used += count;
    if (answer->used == answer->length) {
        block_free(answer);
    }
    return (ssize_t)count;
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
    if (answer->handed) {
        watch_resume(answer->connection);
        answer->handed = FALSE;
    }
    if (answer->failed) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (answer->block != NULL && answer->offset + answer->used == part->offset + within) {
        return give_block(answer, buffer, count);
    }
    block_free(answer);
    answer->offset = part->offset + within;
    if (answer->refused) {
        answer->refused = FALSE;
        return read_here(answer, buffer, count);
    }
    gsize got = read_at_once(answer->body, answer->offset, buffer, count);
    return got > 0 ? (ssize_t)got : hand_over(answer, count, part->length - within);
}

static void free_answer(void *user)
{
    Answer *answer = user;
    g_atomic_int_add(&answers, -1);
    body_unref(answer->body);
    block_free(answer);
    g_array_unref(answer->parts);
    g_free(answer);
}

static struct MHD_Response *respond(struct MHD_Connection *connection, WorkPool *pool, Body *body, GArray *parts)
{
    Answer *answer = g_new0(Answer, 1);
    answer->body = body_ref(body);
    answer->parts = parts;
    answer->connection = connection;
    answer->pool = pool;
    gsize block = block_of(g_atomic_int_add(&answers, 1));
    struct MHD_Response *response =
        MHD_create_response_from_callback(end_of(parts), block, read_body, answer, free_answer);
    if (response == NULL) {
        free_answer(answer);
    }
    return response;
}

struct MHD_Response *parts_joined(struct MHD_Connection *connection, WorkPool *pool, Body *body, const GArray *ranges,
                                  guint64 *total)
{
    GArray *parts = parts_new();
    for (guint i = 0; i < ranges->len; i++) {
        add_range(parts, &g_array_index(ranges, ByteRange, i));
    }
    *total = end_of(parts);
    return respond(connection, pool, body, parts);
}

struct MHD_Response *parts_response(struct MHD_Connection *connection, WorkPool *pool, Body *body, const GArray *ranges,
                                    const char *type, const char *boundary, guint64 *total)
{
    GArray *parts = lay_out(body->size, ranges, type, boundary);
    *total = end_of(parts);
    return respond(connection, pool, body, parts);
}

/* Of an answer that was read at once. */
static void free_read(void *data)
{
    g_atomic_int_add(&answers, -1);
    g_free(data);
}

struct MHD_Response *parts_at_once(Body *body, guint64 offset, guint64 size)
{
    if (body->kind->at_once == NULL || size == 0 || size > block_of(g_atomic_int_get(&answers))) {
        return NULL;
    }
    g_autofree guint8 *data = g_malloc((gsize)size);
    if (read_at_once(body, offset, data, (gsize)size) < size) {
        return NULL;
    }
    g_atomic_int_inc(&answers);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback((size_t)size, data, free_read);
    if (response == NULL) {
        g_atomic_int_add(&answers, -1);
        return NULL;
    }
    data = NULL;
    return response;
}

struct MHD_Response *parts_run(struct MHD_Connection *connection, WorkPool *pool, Body *body, guint64 offset,
                               guint64 size)
{
    const ByteRange range = {.offset = offset, .length = size};
    GArray *parts = parts_new();
    add_range(parts, &range);
    return respond(connection, pool, body, parts);
}

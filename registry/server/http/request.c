#include "server/http/request.h"

#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/resident.h"
#include "server/http/client.h"
#include "server/http/log.h"
#include "server/http/parts.h"
#include "server/http/status.h"
#include "server/http/unread.h"

#define FETCHED_MAX (1u << 20)    /* bytes of a range that is read in at once, before it is sent */
#define HELD_BLOCK 4096u          /* bytes that an answer of no known length gives at once */
#define LOOKED_AT_MAX (16u << 20) /* bytes of a range that an event loop looks at */

const char *request_header(const Request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_query(const Request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

typedef struct {
    const char *name;
    GStrvBuilder *values;
} QueryValues;

static enum MHD_Result take_value(void *user, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)kind;
    const QueryValues *query = user;
    if (strcmp(key, query->name) == 0) {
        g_strv_builder_add(query->values, value == NULL ? "" : value);
    }
    return MHD_YES;
}

char **request_query_all(const Request *request, const char *name)
{
    g_autoptr(GStrvBuilder) values = g_strv_builder_new();
    QueryValues query = {.name = name, .values = values};
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, take_value, &query);
    return g_strv_builder_end(values);
}

gboolean request_is_read(const Request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

gboolean request_gone(const Request *request)
{
    return client_has_left(request->connection);
}

void request_keep(Request *request, gpointer found, GDestroyNotify free)
{
    g_assert(request->kept == NULL);
    request->kept = found;
    request->kept_free = free;
}

void request_stream(Request *request, const char *strand, RequestTake take, RequestRest rest)
{
    g_free(request->strand);
    request->strand = g_strdup(strand);
    request->take = take;
    request->rest = rest;
}

/* Addresses on this server begin with the path that a proxy gives it; NULL: the value stays as it is. */
static char *with_prefix(const Request *request, const char *name, const char *value)
{
    static const char *const names[] = {"Location", "Link", "Ingot-Frames", NULL};
    gsize at = *value == '<' ? 1 : 0;
    return request->prefix == NULL || !g_strv_contains(names, name) || value[at] != '/'
               ? NULL
               : g_strdup_printf("%.*s%s%s", (int)at, value, request->prefix, value + at);
}

static void add_headers(const Request *request, struct MHD_Response *response, va_list headers)
{
    const char *name;
    while ((name = va_arg(headers, const char *)) != NULL) {
        const char *value = va_arg(headers, const char *);
        g_autofree char *whole = value == NULL ? NULL : with_prefix(request, name, value);
        if (value != NULL) {
            MHD_add_response_header(response, name, whole == NULL ? value : whole);
        }
    }
}

static enum MHD_Result keep_answer(Request *request, guint status, guint64 size, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Docker-Distribution-Api-Version", "registry/2.0");
    MHD_add_response_header(response, "X-Request-Id", request->id);
    /* What was pushed is never shown as a page, nor taken for one: browsers keep the logins of this origin. */
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Content-Security-Policy", "sandbox; default-src 'none'");
    g_clear_pointer(&request->response, MHD_destroy_response);
    request->response = response;
    request->status = status;
    request->sent = size;
    return MHD_YES;
}

static enum MHD_Result answer_bytes(Request *request, guint status, const char *type, GBytes *bytes, va_list headers)
{
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    Unread *unread = unread_begin(client_network(request), bytes);
    if (unread == NULL) {
        return request_refuse_busy(request, "too many large answers are being read from this registry; try again");
    }
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        size, (void *)(data == NULL ? "" : data), unread_end, unread);
    if (response == NULL) {
        unread_end(unread);
        return MHD_NO;
    }
    if (type != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    }
    add_headers(request, response, headers);
    return keep_answer(request, status, size, response);
}

enum MHD_Result request_answer(Request *request, guint status, const char *type, const void *body, gsize size, ...)
{
    g_autoptr(GBytes) bytes = g_bytes_new(body, size);
    va_list headers;
    va_start(headers, size);
    enum MHD_Result result = answer_bytes(request, status, type, bytes, headers);
    va_end(headers);
    return result;
}

enum MHD_Result request_answer_bytes(Request *request, guint status, const char *type, GBytes *bytes, ...)
{
    va_list headers;
    va_start(headers, bytes);
    enum MHD_Result result = answer_bytes(request, status, type, bytes, headers);
    va_end(headers);
    return result;
}

/* Whether the range begins with whole bytes: an error is better told before the head of the answer than after. What
 * comes from far is not waited for. */
static gboolean begins_whole(Body *body, guint64 offset, GError **error)
{
    char byte;
    return body->kind->far || offset >= body->size ||
           body->kind->read(body->source, offset, &byte, sizeof byte, error) >= 0;
}

/* What of a file is on the disk alone would be waited for by the loop. A thread of a pool reads it in, where it is
 * little; else it is read part by part (parts.h). In the loop itself a large range is not even looked at. */
static gboolean is_ready(const Body *body, int fd, guint64 at, guint64 size)
{
    gboolean in_loop = body->kind->read == NULL;
    if (in_loop && size > LOOKED_AT_MAX) {
        return FALSE;
    }
    if (resident_has(fd, at, size)) {
        return TRUE;
    }
    if (in_loop || size > FETCHED_MAX) {
        return FALSE;
    }
    resident_fetch(fd, at, size);
    return TRUE;
}

/* A run of one file, which the kernel sends; NULL: it is none, or is not in memory. */
static struct MHD_Response *run_response(const Request *request, Body *body, guint64 offset, guint64 size)
{
    int fd;
    guint64 at;
    if (body->kind->run == NULL || !body->kind->run(body->source, offset, size, &fd, &at)) {
        return NULL;
    }
    if (strcmp(request->method, "HEAD") != 0 && !is_ready(body, fd, at, size)) {
        close(fd);
        return NULL;
    }
    struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(size, fd, at);
    if (response == NULL) {
        close(fd);
    }
    return response;
}

static WorkPool *pool_for(const Request *request, const Body *body)
{
    return request->pools[body->kind->far ? POOL_FAR : POOL_READ];
}

enum MHD_Result request_answer_body(Request *request, guint status, Body *taken, guint64 offset, guint64 size, ...)
{
    g_autoptr(Body) body = taken;
    g_autoptr(GError) error = NULL;
    struct MHD_Response *response =
        run_response(request, body, offset, size); /* first: what it finds has been checked */
    if (response == NULL && strcmp(request->method, "HEAD") != 0) {
        response = parts_at_once(body, offset, size);
    }
    if (response == NULL && body->kind->read == NULL) {
        return MHD_YES;
    }
    if (response == NULL && strcmp(request->method, "HEAD") != 0 && !begins_whole(body, offset, &error)) {
        return request_fail(request, "BLOB_UNKNOWN", error);
    }
    if (response == NULL) {
        /* The look at its beginning has checked all of a small range. */
        response = run_response(request, body, offset, size);
    }
    if (response == NULL) {
        response = parts_run(request->connection, pool_for(request, body), body, offset, size);
    }
    if (response == NULL) {
        return MHD_NO;
    }
    va_list headers;
    va_start(headers, size);
    add_headers(request, response, headers);
    va_end(headers);
    return keep_answer(request, status, size, response);
}

enum MHD_Result request_answer_parts(Request *request, Body *taken, const GArray *ranges, const char *type, ...)
{
    g_autoptr(Body) body = taken;
    if (body->kind->read == NULL) {
        return MHD_YES;
    }
    g_autofree char *boundary = g_strdup_printf("ingot-%08x%08x%08x", g_random_int(), g_random_int(), g_random_int());
    guint64 total;
    struct MHD_Response *response =
        parts_response(request->connection, pool_for(request, body), body, ranges, type, boundary, &total);
    if (response == NULL) {
        return MHD_NO;
    }
    g_autofree char *multipart = g_strdup_printf("multipart/byteranges; boundary=%s", boundary);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, multipart);
    va_list headers;
    va_start(headers, type);
    add_headers(request, response, headers);
    va_end(headers);
    return keep_answer(request, MHD_HTTP_PARTIAL_CONTENT, total, response);
}

enum MHD_Result request_answer_joined(Request *request, Body *taken, const GArray *ranges, ...)
{
    g_autoptr(Body) body = taken;
    g_autoptr(GError) error = NULL;
    guint64 total;
    if (!begins_whole(body, g_array_index(ranges, ByteRange, 0).offset, &error)) {
        return request_fail(request, "BLOB_UNKNOWN", error);
    }
    struct MHD_Response *response = parts_joined(request->connection, pool_for(request, body), body, ranges, &total);
    if (response == NULL) {
        return MHD_NO;
    }
    va_list headers;
    va_start(headers, ranges);
    add_headers(request, response, headers);
    va_end(headers);
    return keep_answer(request, MHD_HTTP_OK, total, response);
}

enum MHD_Result request_answer_held(Request *request, const char *type, MHD_ContentReaderCallback read, void *user,
                                    MHD_ContentReaderFreeCallback free)
{
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, HELD_BLOCK, read, user, free);
    if (response == NULL) {
        free(user);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no"); /* else nginx waits until its buffer is full */
    return keep_answer(request, MHD_HTTP_OK, 0, response);
}

gboolean request_has_already(const Request *request, const char *tag)
{
    const char *header = request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    g_auto(GStrv) tags = header == NULL ? NULL : g_strsplit(header, ",", -1);
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        const char *one = g_strstrip(tags[i]);
        one += g_str_has_prefix(one, "W/") ? 2 : 0; /* compared weakly: the bytes of a digest are always the same */
        if (strcmp(one, "*") == 0 || strcmp(one, tag) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

enum MHD_Result request_refuse(Request *request, guint status, const char *code, const char *message)
{
    /* It may quote what came, which need not be UTF-8; JSON must be. */
    g_autofree char *valid = g_utf8_make_valid(message, -1);
    g_autoptr(json_t) body = json_pack("{s:[{s:s, s:s}]}", "errors", "code", code, "message", valid);
    g_autofree char *text = ingot_json_canonical(body);
    return request_answer(request, status, "application/json", text, strlen(text), NULL);
}

enum MHD_Result request_refuse_busy(Request *request, const char *message)
{
    g_autoptr(json_t) body = json_pack("{s:[{s:s, s:s}]}", "errors", "code", "UNAVAILABLE", "message", message);
    g_autofree char *text = ingot_json_canonical(body);
    return request_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", text, strlen(text),
                          MHD_HTTP_HEADER_RETRY_AFTER, "1", NULL);
}

void request_again(Request *request, gint64 delay)
{
    request->again = delay;
}

enum MHD_Result request_fail(Request *request, const char *code, const GError *error)
{
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, code, error->message);
    }
    log_error("%s (request %s)", error->message, request->id);
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NO_SPACE)) {
        return request_refuse(request, MHD_HTTP_INSUFFICIENT_STORAGE, "DENIED", "the registry's disk is full");
    }
    if (!g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT) && !status_can_keep(request->status_of)) {
        /* A disk that can't be written, too many open files: of this machine, not of the request. */
        return request_refuse_busy(request, "this registry can keep nothing now; its log says why");
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_LIMIT)) {
        return request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED", error->message);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_DENIED)) { /* its own files: a disk that is read-only */
        return request_refuse_busy(request, "the registry may not use its own files; its log says which");
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        return request_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "UNKNOWN",
                              "it is damaged here: a push of the same bytes mends an image, `ingotd rebuild` what was"
                              " said of it; the registry's log has the name");
    }
    return request_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "UNKNOWN", "the registry failed; its log says how");
}

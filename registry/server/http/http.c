#include "server/http/http.h"

#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "server/auth/access.h"
#include "server/auth/door.h"
#include "server/http/client.h"
#include "server/http/listen.h"
#include "server/http/log.h"
#include "server/http/status.h"
#include "server/http/tls.h"
#include "server/oci/api.h"
#include "server/views/door.h"
#include "server/views/vagrant.h"

#define THREADS_LEAST 4u /* one that waits for the disk must not hold up all */
#define WORKERS 8
#define HEADER_MAX (64u << 10) /* bytes of a request's head */
#define DRAIN_USEC (10 * G_TIME_SPAN_SECOND)
#define ABOVE_BODY (1u << 20)
#define SWALLOW_MAX (16u << 20) /* bytes of a body that is refused */

struct Http {
    struct MHD_Daemon *daemon;
    Storage *storage;
    Through *through;
    Views *views;
    Warm *warm;
    Access *access;
    guint64 upload_max;
    Status *status;
    GThreadPool *workers;
    Watch *watch;
    Rate *rate; /* NULL: none */
};

static void take_body(Request *request, const char *data, size_t size)
{
    request->received += size;
    if (request->failure != NULL || request->status != 0) {
        return;
    }
    if (request->upload != NULL) {
        if (request->upload_at + request->received > request->upload_max) {
            g_set_error(&request->failure, INGOT_ERROR, INGOT_ERROR_DENIED, "larger than this registry takes");
            return;
        }
        storage_upload_add(request->storage, request->upload, data, size, &request->failure);
    } else if (request->received <= request->body_max) {
        g_byte_array_append(request->body, (const guint8 *)data, (guint)size);
    }
}

static enum MHD_Result answer(Http *http, Request *request)
{
    return status_has(request->path)    ? status_answer(http->status, request)
           : formats_has(request->path) ? formats_answer(request)
           : vagrant_has(request->path) ? vagrant_answer(request)
                                        : api_answer(request);
}

static void work(gpointer data, gpointer user)
{
    Request *request = data;
    if (answer(user, request) != MHD_YES) {
        request->status = 0;
    }
    MHD_resume_connection(request->connection);
}

/* What writes waits for the disk, what may come from an upstream for that, and a whole file is long to read: not in a
 * thread that serves other connections too. */
static gboolean needs_worker(const Request *request)
{
    return request->through != NULL || formats_is_slow(request->path) || vagrant_has(request->path) ||
           (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0);
}

static enum MHD_Result give_response(Request *request)
{
    if (request->response == NULL) {
        return MHD_NO;
    }
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
    g_clear_pointer(&request->response, MHD_destroy_response);
    return result;
}

/* Whoever sends a body unasked reads no answer before its end: were the connection closed on it, the refusal would be
 * lost with it ("connection reset"). A body of unknown length, or a large one, is not worth that. */
static gboolean must_swallow(const Request *request)
{
    const char *length = request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length != NULL && request_header(request, MHD_HTTP_HEADER_EXPECT) == NULL &&
           g_ascii_strtoull(length, NULL, 10) - 1 < SWALLOW_MAX;
}

/* When it is known who asks. */
static enum MHD_Result begin(Request *request)
{
    enum MHD_Result result;
    if (!door_open(request, &result)) {
        return result;
    }
    return formats_has(request->path) || vagrant_has(request->path) ? MHD_YES : api_begin(request);
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *size, void **state)
{
    (void)version;
    Http *http = user;
    Request *request = *state;
    if (request == NULL) {
        request = g_new0(Request, 1);
        *state = request;
        request->connection = connection;
        request->method = g_strdup(method);
        request->path = g_strdup(path);
        request->id = log_id(request_header(request, "X-Request-Id"));
        request->storage = http->storage;
        request->through = http->through;
        request->views = http->views;
        request->warm = http->warm;
        request->access = http->access;
        request->upload_max = http->upload_max;
        request->start = g_get_monotonic_time();
        request->body = g_byte_array_new();
        request->body_max = API_MANIFEST_MAX + ABOVE_BODY;
        request->swallows = must_swallow(request);
        status_begin(http->status);
        if (status_has(path)) {
            return MHD_YES; /* without a limit: a server that is asked for too much is still asked whether it lives */
        }
        enum MHD_Result result;
        return client_may_ask(request, http->rate, &result) ? begin(request) : result;
    }
    if (door_waits(request)) {
        return begin(request);
    }
    if (*size > 0) {
        take_body(request, data, *size);
        *size = 0;
        return MHD_YES;
    }
    request->swallows = FALSE;
    if (request->with_worker) {
        watch_resume(connection);
        return give_response(request);
    }
    if (request->response != NULL) {
        return give_response(request);
    }
    if (request->status != 0) {
        return MHD_YES;
    }
    if (!needs_worker(request)) {
        return answer(http, request);
    }
    request->with_worker = TRUE;
    watch_suspend(connection);
    MHD_suspend_connection(connection);
    g_thread_pool_push(http->workers, request, NULL);
    return MHD_YES;
}

/* The same, with the watch told what goes on. */
static enum MHD_Result on_watched_request(void *user, struct MHD_Connection *connection, const char *path,
                                          const char *method, const char *version, const char *data, size_t *size,
                                          void **state)
{
    if (*state == NULL) {
        watch_begin(connection);
    }
    watch_enter();
    enum MHD_Result result = on_request(user, connection, path, method, version, data, size, state);
    watch_leave();
    return result;
}

static void write_log(const Request *request)
{
    g_autofree char *client = client_address(request);
    const LogRequest line = {.client = client,
                             .user = access_user(request),
                             .method = request->method,
                             .path = request->path,
                             .id = request->id,
                             .status = request->status,
                             .received = request->received,
                             .sent = strcmp(request->method, "HEAD") == 0 ? 0 : request->sent,
                             .ms = (double)(g_get_monotonic_time() - request->start) / 1000};
    log_request(&line);
}

static void on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    (void)code;
    Http *http = user;
    Request *request = *state;
    if (request == NULL) {
        return;
    }
    watch_end(connection);
    if (request->upload != NULL) {
        watch_enter();
        storage_upload_pause(http->storage, request->upload);
        watch_leave();
    }
    g_clear_pointer(&request->response, MHD_destroy_response);
    write_log(request);
    status_end(http->status, request);
    door_close(request);
    g_byte_array_unref(request->body);
    g_clear_error(&request->failure);
    g_free(request->upload);
    g_free(request->method);
    g_free(request->path);
    g_free(request->id);
    g_free(request);
    *state = NULL;
}

static void http_free(Http *http)
{
    status_free(http->status);
    warm_stop(http->warm);
    views_free(http->views);
    watch_free(http->watch);
    rate_free(http->rate);
    g_free(http);
}

static struct MHD_Daemon *start_daemon(Http *http, const Settings *settings, int fd)
{
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    gboolean by_tls = settings->tls_cert != NULL;
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)watch_connection, http->watch},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_end, http},
        {MHD_OPTION_THREAD_POOL_SIZE, CLAMP(g_get_num_processors(), THREADS_LEAST, settings->max_connections), NULL},
        {MHD_OPTION_CONNECTION_LIMIT, settings->max_connections, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, settings->max_connections_per_address, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADER_MAX, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, settings->idle_timeout, NULL},
        {MHD_OPTION_ARRAY, 0, (void *)(by_tls ? tls : &tls[G_N_ELEMENTS(tls) - 1])},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
                                (by_tls ? (unsigned)MHD_USE_TLS : 0),
                            0, NULL, NULL, on_watched_request, http, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

Http *http_start(const HttpOptions *options, char **url, GError **error)
{
    const Settings *settings = options->settings;
    int fd = listen_open(settings->listen, settings->tls_cert != NULL, options->access, url, error);
    if (fd < 0) {
        return NULL;
    }
    Http *http = g_new0(Http, 1);
    http->storage = options->storage;
    http->through = options->through;
    http->views = views_new(options->storage, settings->data, settings->max_unpacked);
    http->warm = warm_start(http->views);
    http->access = options->access;
    http->upload_max = settings->max_upload;
    http->watch = watch_new(&(WatchLimits){.head_seconds = settings->head_timeout,
                                           .min_rate = settings->min_rate,
                                           .rate_seconds = settings->min_rate_time});
    if (settings->rate > 0) {
        http->rate = rate_new(settings->rate, settings->burst > 0 ? settings->burst : 10.0 * settings->rate);
    }
    http->status = status_new(http->watch, http->rate, options->upkeep);
    http->workers = g_thread_pool_new(work, http, WORKERS, FALSE, NULL);
    http->daemon = start_daemon(http, settings, fd);
    if (http->daemon == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "the HTTP server does not start");
        close(fd);
        g_thread_pool_free(http->workers, FALSE, TRUE);
        http_free(http);
        return NULL;
    }
    return http;
}

void http_stop(Http *http)
{
    status_drain(http->status);
    MHD_socket fd = MHD_quiesce_daemon(http->daemon);
    gint64 end = g_get_monotonic_time() + DRAIN_USEC;
    while (status_running(http->status) > 0 && g_get_monotonic_time() < end) {
        g_usleep(G_USEC_PER_SEC / 50);
    }
    access_stop(http->access); /* no connection may be suspended now */
    g_thread_pool_free(http->workers, FALSE, TRUE);
    MHD_stop_daemon(http->daemon);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
    }
    http_free(http);
}

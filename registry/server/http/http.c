#include "server/http/http.h"

#include <ingot/error.h>
#include <unistd.h>

#include "server/http/tls.h"
#include "server/http/tlsbound.h"

#define THREADS_LEAST 4u
#define HEADER_MAX (24u << 10) /* bytes of a request's head: a connection holds as much for as long as it stands */
#define DRAIN_USEC (10 * G_TIME_SPAN_SECOND)

struct Http {
    GPtrArray *daemons; /* of struct MHD_Daemon: one for each listener */
    FlowOptions options;
    Flow *flow;
};

static void http_free(Http *http)
{
    g_clear_pointer(&http->flow, flow_free);
    g_clear_pointer(&http->options.watch, watch_free);
    rate_free(http->options.rate);
    g_ptr_array_unref(http->daemons);
    g_free(http);
}

/* With the Watch as closure. */
static void on_connection(void *watch, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        tls_bound_begin(connection);
    } else {
        tls_bound_end(connection);
    }
    watch_connection(watch, connection, context, code);
}

static struct MHD_Daemon *start_daemon(Http *http, const HttpOptions *settings, const Listener *listener)
{
    gboolean by_tls = settings->tls && listener->network && !listener->figures;
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem options[] = {
        {MHD_OPTION_LISTEN_SOCKET, listener->fd, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, http->options.watch},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)flow_on_end, http->flow},
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
                            0, NULL, NULL, flow_on_request, flow_door(http->flow, listener->figures), MHD_OPTION_ARRAY,
                            options, MHD_OPTION_END);
}

/* Takes no more connections; the sockets. */
static void quiesce(Http *http)
{
    for (guint i = 0; i < http->daemons->len; i++) {
        MHD_socket fd = MHD_quiesce_daemon(g_ptr_array_index(http->daemons, i));
        if (fd != MHD_INVALID_SOCKET) {
            close(fd);
        }
    }
}

static void stop_daemons(Http *http)
{
    for (guint i = 0; i < http->daemons->len; i++) {
        MHD_stop_daemon(g_ptr_array_index(http->daemons, i));
    }
}

static void http_break_off(Http *http)
{
    quiesce(http);
    if (http->flow != NULL) {
        flow_stop_pools(http->flow);
    }
    stop_daemons(http);
    http_free(http);
}

Http *http_start(const HttpOptions *options, GArray *listeners, GError **error)
{
    Http *http = g_new0(Http, 1);
    http->options = options->flow;
    http->daemons = g_ptr_array_new();
    http->options.idle_timeout = options->idle_timeout;
    if (options->rate > 0) {
        http->options.rate = rate_new(options->rate, options->burst > 0 ? options->burst : 10.0 * options->rate);
    }
    http->options.watch = watch_new(&options->watch, error);
    http->flow = http->options.watch == NULL ? NULL : flow_new(&http->options, error);
    if (http->flow == NULL) {
        http_break_off(http);
        return NULL;
    }
    for (guint i = 0; i < listeners->len; i++) {
        Listener *listener = &g_array_index(listeners, Listener, i);
        struct MHD_Daemon *daemon = start_daemon(http, options, listener);
        if (daemon == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: the HTTP server does not start", listener->where);
            http_break_off(http);
            return NULL;
        }
        listener->fd = -1; /* the daemon's */
        g_ptr_array_add(http->daemons, daemon);
    }
    return http;
}

void http_stop(Http *http, void (*end_waits)(struct Server *server))
{
    flow_drain(http->flow);
    quiesce(http);
    gint64 end = g_get_monotonic_time() + DRAIN_USEC;
    while (flow_running(http->flow) > 0 && g_get_monotonic_time() < end) {
        g_usleep(G_USEC_PER_SEC / 50);
    }
    end_waits(http->options.server); /* no connection may be suspended when the library stops */
    flow_stop_pools(http->flow);
    stop_daemons(http);
    http_free(http);
}

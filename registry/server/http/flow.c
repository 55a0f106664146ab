#include "server/http/flow.h"

#include <string.h>

#include "server/http/client.h"
#include "server/http/intake.h"
#include "server/http/log.h"
#include "server/http/tlsbound.h"

#define PROXY_TIMEOUT 3600u /* seconds for which nothing may move on a connection of a proxy that is trusted */

struct FlowDoor {
    Flow *flow;
    const Route **tables;
};

struct Flow {
    const FlowOptions *options;
    FlowDoor all, figures;
    Status *status;
    WorkPool *pools[POOLS]; /* POOL_LOOP: none */
    gint draining;          /* atomic */
};

/* How many threads each pool has, and how many requests may wait for them. */
static const struct {
    const char *name;
    guint threads, waiting;
} sizes[POOLS] = {
    [POOL_READ] = {"read", 8, 2048}, [POOL_WRITE] = {"write", 8, 1024},        [POOL_FINISH] = {"finish", 16, 64},
    [POOL_SLOW] = {"slow", 4, 64},   [POOL_UPSTREAM] = {"upstream", 96, 1024}, /* they wait for others, and do little
                                                                                  else */
    [POOL_FAR] = {"far", 64, 1024}};

static const Route **tables_new(const Route *const *doors, gboolean figures)
{
    GPtrArray *tables = g_ptr_array_new();
    if (figures) {
        g_ptr_array_add(tables, (gpointer)status_routes);
    }
    for (guint i = 0; doors != NULL && doors[i] != NULL; i++) {
        g_ptr_array_add(tables, (gpointer)doors[i]);
    }
    g_ptr_array_add(tables, NULL);
    return (const Route **)g_ptr_array_free(tables, FALSE);
}

FlowDoor *flow_door(Flow *flow, gboolean figures_only)
{
    return figures_only ? &flow->figures : &flow->all;
}

Flow *flow_new(const FlowOptions *options, GError **error)
{
    Flow *flow = g_new0(Flow, 1);
    flow->options = options;
    flow->all = (FlowDoor){.flow = flow, .tables = tables_new(options->tables, !options->own_figures)};
    flow->figures = (FlowDoor){.flow = flow, .tables = tables_new(NULL, TRUE)};
    flow->status =
        status_new(options->watch, options->rate, flow->pools, options->sources, options->server, options->own_figures);
    for (guint i = POOL_LOOP + 1; i < POOLS; i++) {
        flow->pools[i] = work_pool_new(sizes[i].name, sizes[i].threads, sizes[i].waiting, error);
        if (flow->pools[i] == NULL) {
            flow_free(flow);
            return NULL;
        }
    }
    return flow;
}

void flow_drain(Flow *flow)
{
    g_atomic_int_set(&flow->draining, TRUE);
    status_drain(flow->status);
}

guint flow_running(Flow *flow)
{
    return status_running(flow->status);
}

void flow_stop_pools(Flow *flow)
{
    for (guint i = POOL_LOOP + 1; i < POOLS; i++) {
        work_pool_stop(flow->pools[i]);
    }
}

void flow_free(Flow *flow)
{
    for (guint i = POOL_LOOP + 1; i < POOLS; i++) {
        work_pool_free(flow->pools[i]);
    }
    status_free(flow->status);
    g_free(flow->all.tables);
    g_free(flow->figures.tables);
    g_free(flow);
}

/* --- between a loop and a pool --- */

static void resume(Request *request)
{
    g_atomic_int_set(&request->busy, FALSE);
    MHD_resume_connection(request->connection);
}

static Pool pool_of(const Request *request)
{
    const Route *route = request->match.route;
    return route->choose == NULL ? route->pool : route->choose(request, &request->match);
}

/* Suspended first: a pool may be done before this returns. Where no pool takes it, the loop sees it again at once. */
static enum MHD_Result hand_over(Request *request, WorkTask task)
{
    request->handed = TRUE;
    g_atomic_int_set(&request->busy, TRUE);
    watch_suspend(request->connection);
    MHD_suspend_connection(request->connection);
    if (!work_pool_push(request->pools[pool_of(request)], request->strand, task, request)) {
        request->crowded = TRUE;
        resume(request);
    }
    return MHD_YES;
}

/* Back in the loop. */
static void take_back(Request *request)
{
    watch_resume(request->connection);
    request->handed = FALSE;
    if (request->crowded && request->status == 0) {
        request_refuse_busy(request, "this registry is busy; try again");
    }
    request->crowded = FALSE;
}

static enum MHD_Result give_response(Request *request)
{
    if (request->response == NULL) {
        return MHD_NO;
    }
    if (request->proxied) {
        watch_excuse(request->connection);
        MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, PROXY_TIMEOUT);
    }
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
    g_clear_pointer(&request->response, MHD_destroy_response);
    return result;
}

/* --- the head --- */

static void refuse_route(Request *request)
{
    if (request->match.allow == NULL) {
        request_refuse(request, MHD_HTTP_NOT_FOUND, "UNSUPPORTED", "no such endpoint");
        return;
    }
    static const char body[] =
        "{\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":\"the method is not allowed here\"}]}";
    request_answer(request, MHD_HTTP_METHOD_NOT_ALLOWED, "application/json", body, sizeof body - 1, "Allow",
                   request->match.allow, NULL);
}

/* A refusal is given at once, unless the rest of the body is worth reading first. */
static enum MHD_Result after_head(Request *request)
{
    request->phase = REQUEST_BODY;
    return request->response != NULL && !request->swallows ? give_response(request) : MHD_YES;
}

static void begin_task(gpointer data)
{
    Request *request = data;
    if (request->match.route->begin(request, &request->match) != MHD_YES && request->status == 0) {
        request_refuse(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "UNKNOWN", "the registry failed");
    }
    resume(request);
}

/* Who asks, and what they may. */
static enum MHD_Result on_head(Request *request)
{
    const Route *route = request->match.route;
    const FlowIdentity *identity = request->flow->options->identity;
    enum MHD_Result result = MHD_YES;
    if (request->status == 0 && !route->open && !identity->identify(request, &result)) {
        return identity->waits(request) || result != MHD_YES ? result : after_head(request);
    }
    if (request->status == 0 && route->check != NULL && (result = route->check(request, &request->match)) != MHD_YES) {
        return result;
    }
    if (request->status == 0 && route->begin != NULL) {
        request->phase = REQUEST_BEGIN;
        return hand_over(request, begin_task);
    }
    return after_head(request);
}

static Request *arrive(Flow *flow, struct MHD_Connection *connection, const char *path, const char *method,
                       const char *version)
{
    Request *request = g_new0(Request, 1);
    request->connection = connection;
    request->method = g_strdup(method);
    request->path = g_strdup(path);
    request->by_http_1_0 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    request->id = log_id(request_header(request, "X-Request-Id"));
    request->server = flow->options->server;
    request->flow = flow;
    request->pools = flow->pools;
    request->start = g_get_monotonic_time();
    request->body = g_byte_array_new();
    return request;
}

/* What is refused whoever asks. */
static void admit(Request *request, const FlowDoor *door)
{
    const Flow *flow = door->flow;
    gboolean ok = origin_take(flow->options->origin, request);
    router_find(door->tables, request->method, request->path, &request->match);
    const Route *route = request->match.route;
    if (route != NULL) {
        request->strand = g_strdup(route->strand);
    }
    if (ok && g_atomic_int_get(&flow->draining) && (route == NULL || !route->open)) {
        request_refuse_busy(request, "this registry is stopping");
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONNECTION, "close");
    } else if (ok && route == NULL) {
        refuse_route(request);
    } else if (ok && !route->open) {
        client_may_ask(request, flow->options->rate);
    }
    intake_begin(request);
}

/* --- the body, and the answer --- */

static void store_task(gpointer data)
{
    intake_store(data);
    resume(data);
}

static void work_out(Request *request)
{
    intake_store(request);
    if (request->status == 0 && request->match.route->answer(request, &request->match) != MHD_YES) {
        g_clear_pointer(&request->response, MHD_destroy_response);
        request->status = 0;
    }
    intake_end(request); /* while the answer is read, the body has no use, and its room is others' */
}

static void answer_task(gpointer data);

/* It is asked again later. A server that stops asks nobody again. */
static void come_again(Request *request, Pool pool)
{
    gint64 delay = request->again;
    request->again = 0;
    if (!work_pool_push_later(request->pools[pool], answer_task, request, delay)) {
        request->crowded = TRUE;
        resume(request);
    }
}

/* Whether it goes on in another pool than this one, or later, or nowhere. */
static gboolean move_on(Request *request, Pool here)
{
    const Route *route = request->match.route;
    if (route->move == NULL || request->moved != POOL_LOOP) {
        return FALSE;
    }
    Pool to = route->move(request, &request->match);
    if (request->again > 0) {
        come_again(request, here);
        return TRUE;
    }
    request->moved = to;
    if (to == here || request->status != 0) {
        return FALSE;
    }
    if (!work_pool_push(request->pools[to], request->strand, answer_task, request)) {
        request->crowded = TRUE;
        resume(request);
    }
    return TRUE;
}

/* What takes long is not begun for a client that has left. */
static gboolean is_wanted(Request *request, Pool pool)
{
    return (pool != POOL_SLOW && pool != POOL_UPSTREAM) || !request_gone(request);
}

static void answer_task(gpointer data)
{
    Request *request = data;
    Pool first = pool_of(request);
    gboolean wanted = is_wanted(request, request->moved == POOL_LOOP ? first : request->moved);
    if (wanted && move_on(request, first)) {
        return;
    }
    if (wanted && is_wanted(request, request->moved == POOL_LOOP ? first : request->moved)) {
        work_out(request);
    }
    resume(request);
}

static enum MHD_Result on_all(Request *request)
{
    const Route *route = request->match.route;
    request->swallows = FALSE;
    if (request->status != 0 || request->phase == REQUEST_ANSWER) {
        return give_response(request);
    }
    request->phase = REQUEST_ANSWER;
    if (route->quick != NULL && request->failure == NULL &&
        (route->quick(request, &request->match) != MHD_YES || request->status != 0)) {
        return give_response(request);
    }
    if (pool_of(request) == POOL_LOOP) {
        work_out(request);
        return give_response(request);
    }
    return hand_over(request, answer_task);
}

static enum MHD_Result on_body(Request *request, const char *data, size_t *size)
{
    gboolean enough = intake_add(request, data, *size);
    *size = 0;
    return enough ? hand_over(request, store_task) : MHD_YES;
}

static enum MHD_Result go_on(Request *request, const char *data, size_t *size)
{
    if (g_atomic_int_get(&request->busy)) {
        return MHD_YES; /* more of the body has come already; it stays where it is */
    }
    if (request->handed) {
        take_back(request);
    }
    switch (request->phase) {
    case REQUEST_HEAD:
        return on_head(request);
    case REQUEST_BEGIN:
        return after_head(request);
    default:
        return *size > 0 ? on_body(request, data, size) : on_all(request);
    }
}

enum MHD_Result flow_on_request(void *user, struct MHD_Connection *connection, const char *path, const char *method,
                                const char *version, const char *data, size_t *size, void **state)
{
    const FlowDoor *door = user;
    Flow *flow = door->flow;
    Request *request = *state;
    tls_bound_moved(connection);
    if (request == NULL) {
        watch_begin(connection);
    }
    watch_enter();
    if (request == NULL) {
        *state = request = arrive(flow, connection, path, method, version);
        status_begin(flow->status, request);
        admit(request, door);
    }
    enum MHD_Result result = go_on(request, data, size);
    watch_leave();
    return result;
}

/* --- the end --- */

static void write_log(const Request *request)
{
    g_autofree char *client = client_address(request);
    const LogRequest line = {.client = client,
                             .user = request->flow->options->identity->user(request),
                             .method = request->method,
                             .path = request->path,
                             .id = request->id,
                             .status = request->status,
                             .received = request->received,
                             .sent = strcmp(request->method, "HEAD") == 0 ? 0 : request->sent,
                             .ms = (double)(g_get_monotonic_time() - request->start) / 1000};
    log_request(&line);
}

typedef struct {
    RequestRest rest;
    struct Server *server;
    char *strand;
} Rest;

static void rest_task(gpointer data)
{
    Rest *rest = data;
    rest->rest(rest->server, rest->strand);
    g_free(rest->strand);
    g_free(rest);
}

/* A streamed body's: behind all that its strand still has to do. */
static void let_rest(Request *request)
{
    if (request->rest == NULL) {
        return;
    }
    Rest *rest = g_new(Rest, 1);
    *rest = (Rest){.rest = request->rest, .server = request->server, .strand = g_strdup(request->strand)};
    if (!work_pool_push_always(request->pools[pool_of(request)], rest->strand, rest_task, rest)) {
        rest_task(rest); /* the server stops */
    }
}

void flow_on_end(void *user, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode code)
{
    (void)code;
    Flow *flow = user;
    Request *request = *state;
    if (request == NULL) {
        return;
    }
    watch_end(connection);
    if (request->proxied) {
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, flow->options->idle_timeout);
    }
    let_rest(request);
    g_clear_pointer(&request->response, MHD_destroy_response);
    write_log(request);
    status_end(flow->status, request);
    flow->options->identity->forget(request);
    intake_end(request);
    g_byte_array_unref(request->body);
    g_clear_error(&request->failure);
    if (request->kept_free != NULL) {
        request->kept_free(request->kept);
    }
    route_match_clear(&request->match);
    g_free(request->host);
    g_free(request->prefix);
    g_free(request->strand);
    g_free(request->upload);
    g_free(request->method);
    g_free(request->path);
    g_free(request->id);
    g_free(request);
    *state = NULL;
}

#include "server/http/status.h"

#include <string.h>

#include "server/http/metrics.h"
#include "server/http/probe.h"
#include "server/http/tls.h"

#define READY_FRESH G_TIME_SPAN_SECOND  /* for so long it is ready, or not, without another look */
#define STALE (10 * G_TIME_SPAN_SECOND) /* how old an answer may be that is given while another is made */

/* Upper ends in seconds; the last bucket has none. */
static const double buckets[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60};

/* The requests of one route's name. */
typedef struct {
    guint64 counts[G_N_ELEMENTS(buckets) + 1]; /* each by itself; they are added up when they are told */
    guint64 received, sent;                    /* bytes */
    double seconds;
} Counts;

/* The answers of one kind. */
typedef struct {
    const char *route, *method; /* literals; routes that share a name need not share its text */
    guint status;
    guint64 count;
} Answers;

struct Status {
    Watch *watch;
    Rate *rate;
    WorkPool *const *pools;
    const StatusSources *sources;
    struct Server *server;
    gboolean exact;
    Probe *readiness, *figures;
    GMutex lock;         /* of all that follows */
    GHashTable *routes;  /* name -> Counts */
    GHashTable *answers; /* of Answers: themselves */
    guint running;
    gboolean draining;
};

static guint answers_hash(gconstpointer data)
{
    const Answers *answers = data;
    return g_str_hash(answers->route) ^ g_direct_hash(answers->method) ^ answers->status;
}

static gboolean answers_equal(gconstpointer a, gconstpointer b)
{
    const Answers *one = a, *other = b;
    return strcmp(one->route, other->route) == 0 && one->method == other->method && one->status == other->status;
}

Status *status_new(Watch *watch, Rate *rate, WorkPool *const *pools, const StatusSources *sources,
                   struct Server *server, gboolean exact)
{
    Status *status = g_new0(Status, 1);
    status->pools = pools;
    status->sources = sources;
    status->server = server;
    status->exact = exact;
    status->readiness = probe_new(READY_FRESH, STALE);
    status->figures = probe_new(0, STALE);
    g_mutex_init(&status->lock);
    status->watch = watch;
    status->rate = rate;
    status->routes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    status->answers = g_hash_table_new_full(answers_hash, answers_equal, g_free, NULL);
    return status;
}

void status_free(Status *status)
{
    probe_free(status->readiness);
    probe_free(status->figures);
    g_mutex_clear(&status->lock);
    g_hash_table_unref(status->routes);
    g_hash_table_unref(status->answers);
    g_free(status);
}

void status_begin(Status *status, Request *request)
{
    request->status_of = status;
    g_mutex_lock(&status->lock);
    status->running++;
    g_mutex_unlock(&status->lock);
}

guint status_running(Status *status)
{
    g_mutex_lock(&status->lock);
    guint running = status->running;
    g_mutex_unlock(&status->lock);
    return running;
}

void status_drain(Status *status)
{
    g_mutex_lock(&status->lock);
    status->draining = TRUE;
    g_mutex_unlock(&status->lock);
}

/* Few names, whatever is asked for: a label for each path would grow without end. */
static const char *method_name(const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"};
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        if (strcmp(known[i], method) == 0) {
            return known[i];
        }
    }
    return "other";
}

static guint bucket_of(double seconds)
{
    guint i = 0;
    while (i < G_N_ELEMENTS(buckets) && seconds > buckets[i]) {
        i++;
    }
    return i;
}

/* name: a literal. Under the lock. */
static Counts *find_counts(Status *status, const char *name)
{
    Counts *counts = g_hash_table_lookup(status->routes, name);
    if (counts == NULL) {
        counts = g_new0(Counts, 1);
        g_hash_table_insert(status->routes, (gpointer)name, counts);
    }
    return counts;
}

/* Under the lock. */
static void count_answer(Status *status, const Answers *kind)
{
    Answers *answers = g_hash_table_lookup(status->answers, kind);
    if (answers == NULL) {
        answers = g_memdup2(kind, sizeof *kind);
        g_hash_table_add(status->answers, answers);
    }
    answers->count++;
}

void status_end(Status *status, const Request *request)
{
    const char *name = request->match.route == NULL ? "other" : request->match.route->name;
    double seconds = (double)(g_get_monotonic_time() - request->start) / G_USEC_PER_SEC;
    const Answers kind = {.route = name, .method = method_name(request->method), .status = request->status};
    g_mutex_lock(&status->lock);
    status->running--;
    Counts *route = find_counts(status, name);
    route->counts[bucket_of(seconds)]++;
    route->seconds += seconds;
    route->received += request->received;
    route->sent += strcmp(request->method, "HEAD") == 0 ? 0 : request->sent;
    count_answer(status, &kind);
    g_mutex_unlock(&status->lock);
}

/* --- what is told --- */

static void add_histogram(GString *text, const char *name, const Counts *route)
{
    static const char metric[] = "ingot_request_seconds";
    guint64 count = 0;
    for (guint i = 0; i < G_N_ELEMENTS(route->counts); i++) {
        char end[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";
        if (i < G_N_ELEMENTS(buckets)) {
            g_ascii_formatd(end, sizeof end, "%g", buckets[i]);
        }
        count += route->counts[i];
        g_string_append_printf(text, "%s_bucket{route=\"%s\",le=\"%s\"} %" G_GUINT64_FORMAT "\n", metric, name, end,
                               count);
    }
    g_string_append_printf(text, "%s_count{route=\"%s\"} %" G_GUINT64_FORMAT "\n", metric, name, count);
    g_string_append_printf(text, "%s_sum{route=\"%s\"} ", metric, name);
    metrics_number(text, route->seconds);
}

static void add_bytes(GString *text, GHashTable *routes, const char *metric, const char *help, gsize offset)
{
    GHashTableIter iterator;
    gpointer name, route;
    metrics_head(text, metric, "counter", help);
    g_hash_table_iter_init(&iterator, routes);
    while (g_hash_table_iter_next(&iterator, &name, &route)) {
        g_string_append_printf(text, "%s{route=\"%s\"} %" G_GUINT64_FORMAT "\n", metric, (const char *)name,
                               G_STRUCT_MEMBER(guint64, route, offset));
    }
}

static void add_limits(GString *text, Status *status)
{
    WatchFigures figures = watch_figures(status->watch);
    guint64 refused = status->rate == NULL ? 0 : rate_refused(status->rate);
    metrics_add(text, "ingot_connections_open", "gauge", "Connections that are open.", figures.open);
    metrics_head(text, "ingot_slow_clients_total", "counter", "Connections that were ended for being slow.");
    g_string_append_printf(text, "ingot_slow_clients_total{reason=\"head\"} %" G_GUINT64_FORMAT "\n", figures.heads);
    g_string_append_printf(text, "ingot_slow_clients_total{reason=\"rate\"} %" G_GUINT64_FORMAT "\n", figures.stalled);
    if (tls_expires() > 0) {
        metrics_add(text, "ingot_certificate_expires_seconds", "gauge",
                    "When the certificate that is served runs out, since 1970.", (double)tls_expires());
    }
    metrics_add(text, "ingot_rate_refused_total", "counter",
                "Requests that were refused since an address made too many.", (double)refused);
}

static void add_pools(GString *text, Status *status)
{
    static const char *const names[POOLS] = {
        [POOL_READ] = "read", [POOL_WRITE] = "write",       [POOL_FINISH] = "finish",
        [POOL_SLOW] = "slow", [POOL_UPSTREAM] = "upstream", [POOL_FAR] = "far"};
    metrics_head(text, "ingot_pool_waiting", "gauge", "Requests that wait for a thread of a pool.");
    for (guint i = POOL_LOOP + 1; i < POOLS; i++) {
        g_string_append_printf(text, "ingot_pool_waiting{pool=\"%s\"} %u\n", names[i],
                               work_pool_waiting(status->pools[i]));
    }
    metrics_head(text, "ingot_pool_refused_total", "counter", "Requests that were refused since too many waited.");
    for (guint i = POOL_LOOP + 1; i < POOLS; i++) {
        g_string_append_printf(text, "ingot_pool_refused_total{pool=\"%s\"} %" G_GUINT64_FORMAT "\n", names[i],
                               work_pool_refused(status->pools[i]));
    }
}

static char *tell(Status *status)
{
    GString *text = g_string_new(NULL);
    GHashTableIter iterator;
    gpointer name, value;
    metrics_head(text, "ingot_build_info", "gauge", "The version that runs.");
    g_string_append(text, "ingot_build_info{version=\"" INGOT_VERSION "\"} 1\n");
    g_mutex_lock(&status->lock);
    metrics_head(text, "ingot_requests_running", "gauge", "Requests that have begun and not ended.");
    g_string_append_printf(text, "ingot_requests_running %u\n", status->running);
    metrics_head(text, "ingot_requests_total", "counter", "Requests that have ended.");
    g_hash_table_iter_init(&iterator, status->answers);
    while (g_hash_table_iter_next(&iterator, &value, NULL)) {
        const Answers *answers = value;
        g_string_append_printf(text,
                               "ingot_requests_total{route=\"%s\",method=\"%s\",status=\"%u\"} %" G_GUINT64_FORMAT "\n",
                               answers->route, answers->method, answers->status, answers->count);
    }
    metrics_head(text, "ingot_request_seconds", "histogram", "How long requests took.");
    g_hash_table_iter_init(&iterator, status->routes);
    while (g_hash_table_iter_next(&iterator, &name, &value)) {
        add_histogram(text, name, value);
    }
    add_bytes(text, status->routes, "ingot_received_bytes_total", "Bytes of requests' bodies.",
              G_STRUCT_OFFSET(Counts, received));
    add_bytes(text, status->routes, "ingot_sent_bytes_total", "Bytes of answers' bodies.",
              G_STRUCT_OFFSET(Counts, sent));
    g_mutex_unlock(&status->lock);
    add_limits(text, status);
    add_pools(text, status);
    status->sources->figures(text, status->server, status->exact);
    return g_string_free(text, FALSE);
}

static gboolean is_draining(Status *status)
{
    g_mutex_lock(&status->lock);
    gboolean draining = status->draining;
    g_mutex_unlock(&status->lock);
    return draining;
}

gboolean status_can_keep(Status *status)
{
    return status->sources->ready(status->server, NULL);
}

static enum MHD_Result answer_health(Request *request, const RouteMatch *match)
{
    (void)match;
    return request_answer(request, MHD_HTTP_OK, "text/plain", "ok\n", 3, NULL);
}

static void work_ready(gpointer user, ProbeAnswer *answer)
{
    const Status *status = user;
    g_autoptr(GError) error = NULL;
    gboolean ready = status->sources->ready(status->server, &error);
    g_autofree char *text = ready ? g_strdup("ready\n") : g_strconcat(error->message, "\n", NULL);
    answer->status = ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    answer->text = g_bytes_new(text, strlen(text));
}

static enum MHD_Result give_ready(Request *request, const ProbeAnswer *answer)
{
    if (is_draining(request->status_of)) {
        return request_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", "stopping\n", 9, NULL);
    }
    return request_answer_bytes(request, answer->status, "text/plain", answer->text, NULL);
}

static enum MHD_Result answer_ready(Request *request, const RouteMatch *match)
{
    (void)match;
    g_auto(ProbeAnswer) answer = {0};
    probe_ask(request->status_of->readiness, request->start, work_ready, request->status_of, &answer);
    return give_ready(request, &answer);
}

static enum MHD_Result answer_ready_quick(Request *request, const RouteMatch *match)
{
    (void)match;
    g_auto(ProbeAnswer) answer = {0};
    return probe_peek(request->status_of->readiness, &answer) ? give_ready(request, &answer) : MHD_YES;
}

static void work_figures(gpointer user, ProbeAnswer *answer)
{
    char *text = tell(user);
    *answer = (ProbeAnswer){.status = MHD_HTTP_OK, .text = g_bytes_new_take(text, strlen(text))};
}

static enum MHD_Result give_figures(Request *request, const ProbeAnswer *answer)
{
    return request_answer_bytes(request, answer->status, "text/plain; version=0.0.4", answer->text, "Cache-Control",
                                "no-store", NULL);
}

static enum MHD_Result answer_metrics(Request *request, const RouteMatch *match)
{
    (void)match;
    g_auto(ProbeAnswer) answer = {0};
    probe_ask(request->status_of->figures, request->start, work_figures, request->status_of, &answer);
    return give_figures(request, &answer);
}

static enum MHD_Result answer_metrics_quick(Request *request, const RouteMatch *match)
{
    (void)match;
    g_auto(ProbeAnswer) answer = {0};
    return probe_peek(request->status_of->figures, &answer) ? give_figures(request, &answer) : MHD_YES;
}

/* One readiness check and one set of figures at a time: however often they are asked for, they hold two threads, and
 * whoever asks while these are at it is answered from memory. */
const Route status_routes[] = {
    {.methods = "GET, HEAD", .pattern = "/healthz", .name = "status", .open = TRUE, .answer = answer_health},
    {.methods = "GET, HEAD",
     .pattern = "/readyz",
     .name = "status",
     .open = TRUE,
     .pool = POOL_READ,
     .strand = "readyz",
     .quick = answer_ready_quick,
     .answer = answer_ready},
    {.methods = "GET, HEAD",
     .pattern = "/metrics",
     .name = "status",
     .open = TRUE,
     .pool = POOL_READ,
     .strand = "metrics",
     .quick = answer_metrics_quick,
     .answer = answer_metrics},
    {0},
};

#include "server/http/status.h"

#include <ingot/error.h>
#include <string.h>

#include "server/oci/api.h"
#include "server/views/door.h"
#include "server/views/vagrant.h"

/* Upper ends in seconds; the last bucket has none. */
static const double buckets[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60};

/* The requests of one route. */
typedef struct {
    guint64 counts[G_N_ELEMENTS(buckets) + 1]; /* each by itself; they are added up when they are told */
    guint64 received, sent;                    /* bytes */
    double seconds;
} Route;

struct Status {
    Watch *watch;
    Rate *rate;
    GMutex lock;
    GHashTable *routes;  /* name -> Route */
    GHashTable *answers; /* labels of route, method and status -> guint64 */
    guint running;
    gboolean draining;
    Upkeep *upkeep;
};

Status *status_new(Watch *watch, Rate *rate, Upkeep *upkeep)
{
    Status *status = g_new0(Status, 1);
    status->upkeep = upkeep;
    g_mutex_init(&status->lock);
    status->watch = watch;
    status->rate = rate;
    status->routes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    status->answers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return status;
}

void status_free(Status *status)
{
    g_mutex_clear(&status->lock);
    g_hash_table_unref(status->routes);
    g_hash_table_unref(status->answers);
    g_free(status);
}

void status_begin(Status *status)
{
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
    static const char *const known[] = {"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", NULL};
    return g_strv_contains(known, method) ? method : "other";
}

static guint bucket_of(double seconds)
{
    guint i = 0;
    while (i < G_N_ELEMENTS(buckets) && seconds > buckets[i]) {
        i++;
    }
    return i;
}

static gpointer find_or_add(GHashTable *table, const char *key, gboolean copy, gsize size)
{
    gpointer value = g_hash_table_lookup(table, key);
    if (value == NULL) {
        value = g_malloc0(size);
        g_hash_table_insert(table, copy ? g_strdup(key) : (gpointer)key, value);
    }
    return value;
}

void status_end(Status *status, const Request *request)
{
    const char *name = status_has(request->path)    ? "status"
                       : formats_has(request->path) ? "formats"
                       : vagrant_has(request->path) ? "vagrant"
                                                    : api_route_name(request->path);
    double seconds = (double)(g_get_monotonic_time() - request->start) / G_USEC_PER_SEC;
    g_autofree char *labels = g_strdup_printf("route=\"%s\",method=\"%s\",status=\"%u\"", name,
                                              method_name(request->method), request->status);
    g_mutex_lock(&status->lock);
    status->running--;
    Route *route = find_or_add(status->routes, name, FALSE, sizeof(Route));
    route->counts[bucket_of(seconds)]++;
    route->seconds += seconds;
    route->received += request->received;
    route->sent += strcmp(request->method, "HEAD") == 0 ? 0 : request->sent;
    (*(guint64 *)find_or_add(status->answers, labels, TRUE, sizeof(guint64)))++;
    g_mutex_unlock(&status->lock);
}

/* --- what is told --- */

static void add_head(GString *text, const char *name, const char *type, const char *help)
{
    g_string_append_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A number as C has it, whatever the locale. */
static void add_number(GString *text, double value)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];
    g_string_append_printf(text, "%s\n", g_ascii_dtostr(buffer, sizeof buffer, value));
}

static void add_histogram(GString *text, const char *name, const Route *route)
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
    add_number(text, route->seconds);
}

static void add_bytes(GString *text, GHashTable *routes, const char *metric, const char *help, gsize offset)
{
    GHashTableIter iterator;
    gpointer name, route;
    add_head(text, metric, "counter", help);
    g_hash_table_iter_init(&iterator, routes);
    while (g_hash_table_iter_next(&iterator, &name, &route)) {
        g_string_append_printf(text, "%s{route=\"%s\"} %" G_GUINT64_FORMAT "\n", metric, (const char *)name,
                               G_STRUCT_MEMBER(guint64, route, offset));
    }
}

static void add_figure(GString *text, const char *name, const char *type, const char *help, double value)
{
    add_head(text, name, type, help);
    g_string_append_printf(text, "%s ", name);
    add_number(text, value);
}

static void add_storage(GString *text, Storage *storage)
{
    StorageStats stats;
    if (!storage_stats(storage, &stats, NULL)) {
        return;
    }
    add_figure(text, "ingot_pieces", "gauge", "Distinct pieces.", (double)stats.pieces);
    add_figure(text, "ingot_blobs", "gauge", "Distinct blobs.", (double)stats.blobs);
    add_figure(text, "ingot_blob_bytes", "gauge", "Bytes of all blobs, each once.", (double)stats.logical);
    add_figure(text, "ingot_piece_bytes", "gauge", "Bytes of all pieces.", (double)stats.stored);
    add_figure(text, "ingot_pack_bytes", "gauge", "Bytes of the packs, dead ones too.", (double)stats.packed);
    add_figure(text, "ingot_dedup_ratio", "gauge", "Bytes of blobs for each byte of pieces.",
               stats.stored == 0 ? 1 : (double)stats.logical / (double)stats.stored);
    add_figure(text, "ingot_uploads_open", "gauge", "Uploads that have begun and not ended.", stats.uploads);
    add_figure(text, "ingot_pieces_damaged", "gauge", "Pieces found damaged and not yet replaced.",
               (double)stats.damaged);
    add_figure(text, "ingot_damage_found_total", "counter", "How often a read found damage.",
               (double)stats.damage_found);
}

static void add_upkeep(GString *text, Upkeep *upkeep)
{
    UpkeepFigures figures;
    upkeep_figures(upkeep, &figures);
    add_figure(text, "ingot_gc_runs_total", "counter", "Collections of garbage.", (double)figures.collections);
    add_figure(text, "ingot_gc_pieces_total", "counter", "Pieces that they removed.", (double)figures.collected_pieces);
    add_figure(text, "ingot_gc_freed_bytes_total", "counter", "Bytes by which packs shrank.",
               (double)figures.freed_bytes);
    add_figure(text, "ingot_gc_last_seconds", "gauge", "When the last one ended, since 1970; 0: never.",
               (double)figures.last_collection);
    add_figure(text, "ingot_scrub_runs_total", "counter", "Scrubs.", (double)figures.scrubs);
    add_figure(text, "ingot_scrub_bytes_total", "counter", "Bytes that they read.", (double)figures.scrubbed_bytes);
    add_figure(text, "ingot_scrub_damaged", "gauge", "Damaged pieces of the last one.", (double)figures.damaged);
    add_figure(text, "ingot_scrub_repaired", "gauge", "Pieces that it repaired.", (double)figures.repaired);
    add_figure(text, "ingot_scrub_inconsistencies", "gauge", "What did not agree.", (double)figures.inconsistencies);
    add_figure(text, "ingot_scrub_last_seconds", "gauge", "When the last one ended, since 1970; 0: never.",
               (double)figures.last_scrub);
}

static void add_limits(GString *text, Status *status)
{
    WatchFigures figures = watch_figures(status->watch);
    guint64 refused = status->rate == NULL ? 0 : rate_refused(status->rate);
    add_figure(text, "ingot_connections_open", "gauge", "Connections that are open.", figures.open);
    add_head(text, "ingot_slow_clients_total", "counter", "Connections that were ended for being slow.");
    g_string_append_printf(text, "ingot_slow_clients_total{reason=\"head\"} %" G_GUINT64_FORMAT "\n", figures.heads);
    g_string_append_printf(text, "ingot_slow_clients_total{reason=\"rate\"} %" G_GUINT64_FORMAT "\n", figures.stalled);
    add_figure(text, "ingot_rate_refused_total", "counter",
               "Requests that were refused since an address made too many.", (double)refused);
}

static char *tell(Status *status, const Request *request)
{
    GString *text = g_string_new(NULL);
    GHashTableIter iterator;
    gpointer name, value;
    add_head(text, "ingot_build_info", "gauge", "The version that runs.");
    g_string_append(text, "ingot_build_info{version=\"" INGOT_VERSION "\"} 1\n");
    g_mutex_lock(&status->lock);
    add_head(text, "ingot_requests_running", "gauge", "Requests that have begun and not ended.");
    g_string_append_printf(text, "ingot_requests_running %u\n", status->running);
    add_head(text, "ingot_requests_total", "counter", "Requests that have ended.");
    g_hash_table_iter_init(&iterator, status->answers);
    while (g_hash_table_iter_next(&iterator, &name, &value)) {
        g_string_append_printf(text, "ingot_requests_total{%s} %" G_GUINT64_FORMAT "\n", (const char *)name,
                               *(guint64 *)value);
    }
    add_head(text, "ingot_request_seconds", "histogram", "How long requests took.");
    g_hash_table_iter_init(&iterator, status->routes);
    while (g_hash_table_iter_next(&iterator, &name, &value)) {
        add_histogram(text, name, value);
    }
    add_bytes(text, status->routes, "ingot_received_bytes_total", "Bytes of requests' bodies.",
              G_STRUCT_OFFSET(Route, received));
    add_bytes(text, status->routes, "ingot_sent_bytes_total", "Bytes of answers' bodies.",
              G_STRUCT_OFFSET(Route, sent));
    g_mutex_unlock(&status->lock);
    add_limits(text, status);
    add_storage(text, request->storage);
    add_figure(text, "ingot_unpacked_bytes", "gauge", "Bytes that are kept of views that are read.",
               (double)views_unpacked(request->views));
    add_upkeep(text, status->upkeep);
    return g_string_free(text, FALSE);
}

static gboolean is_draining(Status *status)
{
    g_mutex_lock(&status->lock);
    gboolean draining = status->draining;
    g_mutex_unlock(&status->lock);
    return draining;
}

static enum MHD_Result answer_ready(Status *status, Request *request)
{
    g_autoptr(GError) error = NULL;
    if (is_draining(status)) {
        return request_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", "stopping\n", 9, NULL);
    }
    if (!storage_writable(request->storage, &error)) {
        g_autofree char *text = g_strconcat(error->message, "\n", NULL);
        return request_answer(request, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain", text, strlen(text), NULL);
    }
    return request_answer(request, MHD_HTTP_OK, "text/plain", "ready\n", 6, NULL);
}

gboolean status_has(const char *path)
{
    static const char *const paths[] = {"/healthz", "/readyz", "/metrics", NULL};
    return g_strv_contains(paths, path);
}

enum MHD_Result status_answer(Status *status, Request *request)
{
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        return request_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "UNSUPPORTED", "GET or HEAD");
    }
    if (strcmp(request->path, "/healthz") == 0) {
        return request_answer(request, MHD_HTTP_OK, "text/plain", "ok\n", 3, NULL);
    }
    if (strcmp(request->path, "/readyz") == 0) {
        return answer_ready(status, request);
    }
    g_autofree char *text = tell(status, request);
    return request_answer(request, MHD_HTTP_OK, "text/plain; version=0.0.4", text, strlen(text), "Cache-Control",
                          "no-store", NULL);
}

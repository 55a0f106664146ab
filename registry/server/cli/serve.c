/* Serving: one process, one data folder, one address. */
#include <errno.h>
#include <ingot/error.h>
#include <ingot/reference.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "base/process.h"
#include "server/auth/access.h"
#include "server/auth/door.h"
#include "server/auth/issue.h"
#include "server/boxes/boxapi.h"
#include "server/boxes/boxes.h"
#include "server/boxes/boxupload.h"
#include "server/boxes/hcp.h"
#include "server/boxes/vagrantdoor.h"
#include "server/channel/doors.h"
#include "server/cli/verbs.h"
#include "server/figures.h"
#include "server/follow/door.h"
#include "server/follow/feed.h"
#include "server/follow/ledger.h"
#include "server/http/http.h"
#include "server/http/listen.h"
#include "server/http/log.h"
#include "server/http/tls.h"
#include "server/oci/api.h"
#include "server/server.h"
#include "server/settings.h"
#include "server/storage/keep.h"
#include "server/upkeep/upkeep.h"
#include "server/views/door.h"
#include "server/webhook/webhooks.h"

#define OTHER_DESCRIPTORS 64
#define LET_GO_EVERY 30000 /* milliseconds */
#define LARGE (512 << 10)  /* bytes of an allocation that goes back to the system when it is freed */
#define SPARE (1 << 20)    /* bytes that an arena of the allocator keeps at hand: a push asks for them again at once */

/* SIGHUP: certificates have been renewed. */
static int hangup_fd = -1;
static void on_hangup(int number)
{
    (void)number;
    int saved = errno;
    eventfd_write(hangup_fd, 1);
    errno = saved;
}

static gboolean watch_hangup(GError **error)
{
    struct sigaction action = {.sa_handler = on_hangup};
    sigemptyset(&action.sa_mask);
    hangup_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return (hangup_fd >= 0 && sigaction(SIGHUP, &action, NULL) == 0) ||
           ingot_error_set_errno(error, errno, "waiting for SIGHUP");
}

static void renew(gboolean tls)
{
    g_autoptr(GError) error = NULL;
    eventfd_t count;
    eventfd_read(hangup_fd, &count);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, g_get_monotonic_time());
    if (tls && tls_reload(&error)) {
        log_info("the certificate was read anew");
    } else if (tls) {
        log_error("the certificate stays what it was: %s", error->message);
    }
    sd_notify(0, "READY=1");
}

/* Until a signal ends it. Now and then what was removed meanwhile is let go of. */
static void wait_for_end(const Server *server, gboolean tls)
{
    struct pollfd waits[] = {{.fd = ingot_interrupt_fd(), .events = POLLIN}, {.fd = hangup_fd, .events = POLLIN}};
    for (;;) {
        int ready = poll(waits, G_N_ELEMENTS(waits), LET_GO_EVERY);
        if (ready > 0 && waits[0].revents != 0) {
            return;
        }
        if (ready > 0 && waits[1].revents != 0) {
            renew(tls);
        }
        if (ready == 0) {
            views_let_go(server->views);
            storage_let_go(server->storage);
        }
    }
}

/* A connection takes a descriptor, and so does the file that it reads or writes. Programs start with few (1,024) for
 * the sake of select(2), which nothing here calls. */
static void raise_descriptors(guint64 connections)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    rlim_t needed = 2 * connections + OTHER_DESCRIPTORS;
    if (limit.rlim_cur < needed) {
        log_warning("%" G_GUINT64_FORMAT " connections may need %" G_GUINT64_FORMAT
                    " files open at once, but the system allows %" G_GUINT64_FORMAT " (ulimit -Hn)",
                    connections, (guint64)needed, (guint64)limit.rlim_cur);
    }
}

/* Other registries that the settings name. */
typedef struct {
    GPtrArray *upstreams; /* of Upstream; NULL: none */
    char *repair;         /* a URL or HOST[:PORT]; NULL: none */
} Hosts;

static void hosts_clear(Hosts *hosts)
{
    g_clear_pointer(&hosts->upstreams, g_ptr_array_unref);
    g_free(hosts->repair);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Hosts, hosts_clear)

/* [PREFIX=]URL; FALSE: it is not one, or the prefix is taken. */
static gboolean add_upstream(GPtrArray *list, char *part, GError **error)
{
    char *sign = strchr(part, '=');
    g_autofree char *prefix = sign == NULL ? g_strdup("") : g_strndup(part, (gsize)(sign - part));
    g_autofree char *sample = g_strconcat(prefix, "x", NULL);
    g_autofree char *url = verb_url_of(sign == NULL ? part : sign + 1, error);
    if (url == NULL) {
        return FALSE;
    }
    if (!ingot_name_check(sample, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--upstream: '%s' can't begin a repository's name",
                    prefix);
        return FALSE;
    }
    for (guint i = 0; i < list->len; i++) {
        if (strcmp(upstream_prefix(g_ptr_array_index(list, i)), prefix) == 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "--upstream: two registries for names that begin with '%s'", prefix);
            return FALSE;
        }
    }
    g_ptr_array_add(list, upstream_new(prefix, url));
    return TRUE;
}

static GPtrArray *find_upstreams(const char *text, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)upstream_free);
    g_auto(GStrv) parts = g_strsplit(text, ";", -1);
    for (guint i = 0; parts[i] != NULL; i++) {
        if (!add_upstream(list, g_strstrip(parts[i]), error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

static gboolean find_hosts(const Settings *settings, Hosts *hosts, GError **error)
{
    hosts->upstreams = settings->upstream == NULL ? NULL : find_upstreams(settings->upstream, error);
    if (settings->upstream != NULL && hosts->upstreams == NULL) {
        return FALSE;
    }
    hosts->repair = settings->scrub_from == NULL ? NULL : verb_url_of(settings->scrub_from, error);
    return settings->scrub_from == NULL || hosts->repair != NULL;
}

/* The policies of --keep; NULL: one of them is none. */
static char **find_keeps(const Settings *settings, GError **error)
{
    g_auto(GStrv) keeps = g_strsplit(settings->keep == NULL ? "" : settings->keep, ";", -1);
    g_autoptr(GArray) parsed = keeps_new();
    for (guint i = 0; keeps[i] != NULL; i++) {
        if (!keeps_add(parsed, g_strstrip(keeps[i]), error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&keeps);
}

/* --- the parts --- */

static const Route *const tables[] = {
    formats_routes,      issue_routes, hcp_routes,       box_api_routes,  box_upload_routes, vagrant_routes,
    follow_routes,       api_routes,   promotion_routes, pipeline_routes, tell_routes,       lifecycle_routes,
    vagrant_last_routes, NULL};
static const FlowIdentity identity = {
    .identify = door_open, .waits = door_waits, .forget = door_close, .user = access_user};

static HttpOptions http_options(const Settings *settings, Server *server, const Origin *origin)
{
    return (HttpOptions){.tls = settings->tls_cert != NULL,
                         .max_connections = settings->max_connections,
                         .max_connections_per_address = settings->max_connections_per_address,
                         .idle_timeout = settings->idle_timeout,
                         .watch = {.head_seconds = settings->head_timeout,
                                   .min_rate = settings->min_rate,
                                   .rate_seconds = settings->min_rate_time},
                         .rate = settings->rate,
                         .burst = settings->burst,
                         .flow = {.tables = tables,
                                  .server = server,
                                  .identity = &identity,
                                  .origin = origin,
                                  .own_figures = settings->listen_metrics != NULL,
                                  .sources = &figures_sources}};
}

static void end_waits(Server *server)
{
    access_stop(server->access);
}

/* NULL: one can't be had, or may not be served. */
static GArray *open_listeners(const Settings *settings, Access *access, GError **error)
{
    g_autoptr(GArray) listeners = listeners_new();
    if (!listen_open(settings->listen, listeners, error)) {
        return NULL;
    }
    for (guint i = 0; i < listeners->len; i++) {
        const Listener *one = &g_array_index(listeners, Listener, i);
        if (!access_check_address(access, one->loopback, one->where, error)) {
            return NULL;
        }
    }
    return settings->listen_metrics == NULL || listen_open_figures(settings->listen_metrics, listeners, error)
               ? g_steal_pointer(&listeners)
               : NULL;
}

/* "unix:/run/ingotd.sock, http://127.0.0.1:5000". Free it. */
static char *describe(const GArray *listeners, gboolean tls)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < listeners->len; i++) {
        const Listener *one = &g_array_index(listeners, Listener, i);
        const char *scheme = !one->network ? "unix:" : tls && !one->figures ? "https://" : "http://";
        g_string_append_printf(text, "%s%s%s%s", i == 0 ? "" : ", ", one->figures ? "metrics " : "", scheme,
                               one->where);
    }
    return g_string_free(text, FALSE);
}

static gboolean listen_and_wait(const Settings *settings, Server *server, GError **error)
{
    gboolean tls = settings->tls_cert != NULL;
    g_autoptr(Origin) origin =
        origin_new(settings->external_url, settings->trusted_proxy, settings->proxy_header, tls, error);
    g_autoptr(GArray) listeners = origin == NULL ? NULL : open_listeners(settings, server->access, error);
    if (listeners == NULL) {
        return FALSE;
    }
    raise_descriptors((guint64)settings->max_connections * listeners->len);
    g_autofree char *where = describe(listeners, tls);
    const HttpOptions options = http_options(settings, server, origin);
    Http *http = http_start(&options, listeners, error);
    if (http == NULL) {
        return FALSE;
    }
    printf("ingotd: listening on %s\n", where);
    fflush(stdout);
    sd_notifyf(0, "READY=1\nSTATUS=Listening on %s", where);
    wait_for_end(server, tls);
    sd_notify(0, "STOPPING=1");
    log_info("stopping");
    feed_end(server->feed); /* else they are waited for */
    http_stop(http, end_waits);
    return TRUE;
}

/* INGOT_SHARED: beside other servers of the folder that have it too. A preview, of which no manual speaks yet: what is
 * shared has been proved to be safe, but timers run in each server, and commands reach one that lives. */
static Storage *open_storage(const Settings *settings, GError **error)
{
    const char *shared = g_getenv("INGOT_SHARED");
    return shared != NULL && *shared != '\0' ? storage_open_shared(settings->data, error)
                                             : storage_open(settings->data, error);
}

static gboolean serve(const Settings *settings, GError **error)
{
    gboolean tls = settings->tls_cert != NULL;
    mallopt(M_MMAP_THRESHOLD, LARGE); /* else each arena keeps what the largest body took */
    mallopt(M_TRIM_THRESHOLD, SPARE);
    if (!watch_hangup(error) || (tls && !tls_load(settings->tls_cert, settings->tls_key, error))) {
        return FALSE;
    }
    /* A reader of the log or of the answer that is gone is an error of that write alone. */
    signal(SIGPIPE, SIG_IGN);
    g_autoptr(Storage) storage = open_storage(settings, error);
    g_autoptr(Access) access =
        storage == NULL ? NULL : access_new(settings->data, settings->anonymous, tls, settings->token_life, error);
    g_auto(Hosts) hosts = {0};
    g_auto(GStrv) keeps = access == NULL ? NULL : find_keeps(settings, error);
    if (keeps == NULL || !find_hosts(settings, &hosts, error)) {
        return FALSE;
    }
    storage_limit(storage, &(StorageLimits){.total = settings->max_storage,
                                            .sparse = settings->sparse,
                                            .repository = settings->max_repository,
                                            .blob = settings->max_upload,
                                            .cache = settings->cache_size,
                                            .log = MAX(settings->checkpoint, 1),
                                            .keep_events = MAX(settings->keep_events, 1),
                                            .uploads = UPLOADS_MAX});
    const UpkeepOptions upkeep_options = {.collect_every = settings->gc_every,
                                          .grace = settings->gc_grace,
                                          .untagged = settings->untagged_grace,
                                          .keeps = keeps,
                                          .scrub_every = settings->scrub_every,
                                          .scrub_rate = settings->scrub_rate,
                                          .scrub_from = hosts.repair};
    Server server = {.storage = storage,
                     .through = hosts.upstreams == NULL
                                    ? NULL
                                    : through_new(storage, settings->data, g_steal_pointer(&hosts.upstreams),
                                                  settings->upstream_absent),
                     .access = access,
                     .views = views_new(storage, settings->data, settings->max_unpacked),
                     .upkeep = upkeep_start(storage, settings->data, &upkeep_options, error),
                     .upload_max = settings->max_upload,
                     .uploads_per_user = settings->max_uploads_per_user,
                     .movable = settings->movable};
    server.warm = server.upkeep == NULL ? NULL : warm_start(server.views, error);
    server.boxes = server.warm == NULL ? NULL : boxes_start(&server, settings->data, error);
    g_autoptr(Database) ledger = server.boxes == NULL ? NULL : ledger_open(settings->data, error);
    server.ledger = ledger;
    server.feed = ledger == NULL ? NULL : feed_start(storage, settings->max_connections, error);
    server.webhooks = server.feed == NULL ? NULL : webhooks_start(storage, ledger, settings->data, error);
    gboolean ok = server.webhooks != NULL && listen_and_wait(settings, &server, error);
    webhooks_stop(server.webhooks);
    feed_stop(server.feed);
    upkeep_stop(server.upkeep);
    boxes_stop(server.boxes);
    warm_stop(server.warm);
    views_free(server.views);
    through_free(server.through);
    tls_unload();
    return ok;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autoptr(SettingFlags) flags = settings_flags_new();
    g_auto(GStrv) environment = g_get_environ();
    g_auto(Settings) settings = {0};
    if (!verb_options(&verb_serve, flags->entries, 0, 0, &argc, &argv, error)) {
        return FALSE;
    }
    if (flags->version) {
        printf("ingotd " INGOT_VERSION "\n");
        return TRUE;
    }
    if (!settings_read(flags, environment, &settings, error)) {
        return FALSE;
    }
    if (flags->check_config) {
        g_autofree char *told = settings_tell(&settings);
        fputs(told, stdout);
        return TRUE;
    }
    log_open(settings.log);
    if (!verb_needs_data(settings.data, error)) {
        return FALSE;
    }
    log_start();
    gboolean ok = serve(&settings, error);
    log_stop();
    return ok;
}

const Verb verb_serve = {"serve", "", "serve golden images by the OCI distribution API (without a verb, too)",
                         "Example:\n  ingotd --data /srv/ingot --listen 127.0.0.1:5000\n", run};

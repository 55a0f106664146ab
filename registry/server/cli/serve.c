/* Serving: one process, one data folder, one address. */
#include <errno.h>
#include <ingot/error.h>
#include <ingot/process.h>
#include <ingot/text.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>

#include "server/cli/verbs.h"
#include "server/http.h"
#include "server/log.h"
#include "server/tls.h"
#include "server/upkeep/upkeep.h"

typedef struct {
    char *data, *listen, *upload_max, *tls_cert, *tls_key, *upstream;
    gboolean version;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->data);
    g_free(arguments->listen);
    g_free(arguments->upload_max);
    g_free(arguments->tls_cert);
    g_free(arguments->tls_key);
    g_free(arguments->upstream);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static gboolean parse(int argc, char **argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &arguments->data, "Where everything is kept", "DIR"},
        {"listen", 0, 0, G_OPTION_ARG_STRING, &arguments->listen,
         "Where to listen (127.0.0.1:5000; port 0: a free one)", "ADDR:PORT"},
        {"max-upload", 0, 0, G_OPTION_ARG_STRING, &arguments->upload_max, "The largest blob taken (256G)", "SIZE"},
        {"tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &arguments->tls_cert,
         "Serve by TLS with this certificate, in PEM, read anew on SIGHUP", "FILE"},
        {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &arguments->tls_key, "Its private key, in PEM", "FILE"},
        {"upstream", 0, 0, G_OPTION_ARG_STRING, &arguments->upstream,
         "Get what is not here from this registry when it is asked for", "URL"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &arguments->version, "Print the version", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!verb_options(&verb_serve, entries, 0, 0, &argc, &argv, error) ||
        (!arguments->version && !verb_needs_data(arguments->data, error))) {
        return FALSE;
    }
    if ((arguments->tls_cert == NULL) != (arguments->tls_key == NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--tls-cert and --tls-key go together; see --help");
        return FALSE;
    }
    return TRUE;
}

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

/* Until a signal ends it. */
static void wait_for_end(gboolean tls)
{
    struct pollfd waits[] = {{.fd = ingot_interrupt_fd(), .events = POLLIN}, {.fd = hangup_fd, .events = POLLIN}};
    for (;;) {
        int ready = poll(waits, G_N_ELEMENTS(waits), -1);
        if (ready > 0 && waits[0].revents != 0) {
            return;
        }
        if (ready > 0 && waits[1].revents != 0) {
            renew(tls);
        }
    }
}

static gboolean serve(const Arguments *arguments, GError **error)
{
    guint64 upload_max;
    if (!ingot_text_parse_size(arguments->upload_max == NULL ? "256G" : arguments->upload_max, &upload_max, error)) {
        return FALSE;
    }
    gboolean tls = arguments->tls_cert != NULL;
    if (!watch_hangup(error) || (tls && !tls_load(arguments->tls_cert, arguments->tls_key, error))) {
        return FALSE;
    }
    g_autoptr(Storage) storage = storage_open(arguments->data, error);
    g_autofree char *url = NULL;
    g_autofree char *upstream = arguments->upstream == NULL ? NULL : verb_host_of(arguments->upstream, error);
    if (storage == NULL || (arguments->upstream != NULL && upstream == NULL)) {
        return FALSE;
    }
    Through *through = upstream == NULL ? NULL : through_new(storage, upstream);
    const UpkeepOptions upkeep_options = {.grace = 24 * 3600};
    Upkeep *upkeep = upkeep_start(storage, arguments->data, &upkeep_options, error);
    HttpOptions options = {.listen = arguments->listen == NULL ? "127.0.0.1:5000" : arguments->listen,
                           .storage = storage,
                           .upkeep = upkeep,
                           .through = through,
                           .upload_max = upload_max,
                           .tls = tls};
    Http *http = upkeep == NULL ? NULL : http_start(&options, &url, error);
    if (http == NULL) {
        upkeep_stop(upkeep);
        through_free(through);
        return FALSE;
    }
    printf("ingotd: listening on %s\n", url);
    fflush(stdout);
    sd_notifyf(0, "READY=1\nSTATUS=Listening on %s", url);
    wait_for_end(tls);
    sd_notify(0, "STOPPING=1");
    log_info("stopping");
    http_stop(http);
    upkeep_stop(upkeep);
    through_free(through);
    tls_unload();
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {0};
    if (!parse(argc, argv, &arguments, error)) {
        return FALSE;
    }
    if (arguments.version) {
        printf("ingotd " INGOT_VERSION "\n");
        return TRUE;
    }
    return serve(&arguments, error);
}

const Verb verb_serve = {"serve", "", "serve golden images by the OCI distribution API (without a verb, too)",
                         "Example:\n  ingotd --data /srv/ingot --listen 127.0.0.1:5000\n", run};

/* ingotd: the registry. One process, one data folder, one address. */
#include <errno.h>
#include <ingot/error.h>
#include <ingot/process.h>
#include <ingot/text.h>
#include <poll.h>
#include <stdio.h>

#include "server/http.h"

typedef struct {
    char *data, *listen, *upload_max;
    gboolean version;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->data);
    g_free(arguments->listen);
    g_free(arguments->upload_max);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static gboolean parse(int argc, char **argv, Arguments *arguments, GError **error)
{
    const GOptionEntry entries[] = {
        {"data", 0, 0, G_OPTION_ARG_FILENAME, &arguments->data, "Where everything is kept", "DIR"},
        {"listen", 0, 0, G_OPTION_ARG_STRING, &arguments->listen,
         "Where to listen (127.0.0.1:5000; port 0: a free one)", "ADDR:PORT"},
        {"max-upload", 0, 0, G_OPTION_ARG_STRING, &arguments->upload_max, "The largest blob taken (256G)", "SIZE"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &arguments->version, "Print the version", NULL},
        G_OPTION_ENTRY_NULL,
    };
    g_autoptr(GOptionContext) context = g_option_context_new("- serve golden images by the OCI distribution API");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_description(context, "Example:\n  ingotd --data /srv/ingot --listen 127.0.0.1:5000\n");
    g_autoptr(GError) problem = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &problem)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s", problem->message);
        return FALSE;
    }
    if (!arguments->version && (arguments->data == NULL || argc > 1)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s",
                    argc > 1 ? "no arguments are expected, only options; see --help"
                             : "--data DIR is missing; see --help");
        return FALSE;
    }
    return TRUE;
}

static gboolean serve(const Arguments *arguments, GError **error)
{
    guint64 upload_max;
    if (!ingot_text_parse_size(arguments->upload_max == NULL ? "256G" : arguments->upload_max, &upload_max, error)) {
        return FALSE;
    }
    g_autoptr(Storage) storage = storage_open(arguments->data, error);
    g_autofree char *url = NULL;
    Http *http = storage == NULL ? NULL
                                 : http_start(arguments->listen == NULL ? "127.0.0.1:5000" : arguments->listen, storage,
                                              upload_max, &url, error);
    if (http == NULL) {
        return FALSE;
    }
    printf("ingotd: listening on %s\n", url);
    fflush(stdout);
    struct pollfd wait = {.fd = ingot_interrupt_fd(), .events = POLLIN};
    while (poll(&wait, 1, -1) < 0 && errno == EINTR) {
    }
    fprintf(stderr, "ingotd: stopping\n");
    http_stop(http);
    return TRUE;
}

int main(int argc, char **argv)
{
    g_auto(Arguments) arguments = {0};
    g_autoptr(GError) error = NULL;
    ingot_interrupt_install();
    if (!parse(argc, argv, &arguments, &error)) {
        fprintf(stderr, "ingotd: %s\n", error->message);
        return ingot_error_exit_status(error);
    }
    if (arguments.version) {
        printf("ingotd " INGOT_VERSION "\n");
        return 0;
    }
    if (!serve(&arguments, &error)) {
        fprintf(stderr, "ingotd: %s\n", error->message);
        return ingot_error_exit_status(error);
    }
    return 0;
}

#include "machine/qmp.h"

#include <gio/gunixsocketaddress.h>
#include <ingot/error.h>
#include <string.h>

#define RETRY_USEC (G_USEC_PER_SEC / 100)
#define TIMEOUT_SECONDS 60

struct Qmp {
    GSocketConnection *connection;
    GDataInputStream *input;
};

void qmp_free(Qmp *qmp)
{
    if (qmp != NULL) {
        g_clear_object(&qmp->input);
        g_clear_object(&qmp->connection);
        g_free(qmp);
    }
}

static json_t *read_message(Qmp *qmp, GError **error)
{
    gsize size;
    g_autoptr(GError) problem = NULL;
    g_autofree char *line = g_data_input_stream_read_line(qmp->input, &size, NULL, &problem);
    if (line == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU closed its control socket%s%s",
                    problem == NULL ? "" : ": ", problem == NULL ? "" : problem->message);
        return NULL;
    }
    return ingot_json_parse(line, size, "QMP", error);
}

json_t *qmp_command(Qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    g_autoptr(json_t) request = json_pack("{s:s}", "execute", command);
    if (arguments != NULL) {
        json_object_set_new(request, "arguments", arguments);
    }
    g_autofree char *text = ingot_json_canonical(request);
    GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(qmp->connection));
    if (!g_output_stream_printf(output, NULL, NULL, error, "%s\n", text)) {
        return NULL;
    }
    for (;;) {
        g_autoptr(json_t) answer = read_message(qmp, error);
        if (answer == NULL) {
            return NULL;
        }
        json_t *result = json_object_get(answer, "return");
        const json_t *failure = json_object_get(answer, "error");
        if (result != NULL) {
            return json_incref(result);
        }
        if (failure != NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU refuses %s: %s", command,
                        json_string_value(json_object_get(failure, "desc")));
            return NULL;
        }
        /* Neither: an event, which nobody waits for here. */
    }
}

static gboolean negotiate(Qmp *qmp, GError **error)
{
    g_autoptr(json_t) greeting = read_message(qmp, error);
    g_autoptr(json_t) answer = greeting == NULL ? NULL : qmp_command(qmp, "qmp_capabilities", NULL, error);
    return answer != NULL;
}

Qmp *qmp_connect(const char *path, QmpAlive alive, gpointer user, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_socket_client_set_timeout(client, TIMEOUT_SECONDS);
    g_autoptr(Qmp) qmp = g_new0(Qmp, 1);
    while ((qmp->connection = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL)) == NULL) {
        if (!alive(user, error)) {
            return NULL;
        }
        g_usleep(RETRY_USEC);
    }
    qmp->input = g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(qmp->connection)));
    g_data_input_stream_set_newline_type(qmp->input, G_DATA_STREAM_NEWLINE_TYPE_ANY);
    return negotiate(qmp, error) ? g_steal_pointer(&qmp) : NULL;
}

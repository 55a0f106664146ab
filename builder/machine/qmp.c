#include "machine/qmp.h"

#include <gio/gunixfdmessage.h>
#include <gio/gunixsocketaddress.h>
#include <ingot/error.h>
#include <string.h>

#define RETRY_USEC (G_USEC_PER_SEC / 100)
#define TIMEOUT_SECONDS 60
#define EVENTS_KEPT 64 /* that nobody has waited for yet */

struct Qmp {
    GSocketConnection *connection;
    GDataInputStream *input;
    GQueue *events; /* of json_t */
};

void qmp_free(Qmp *qmp)
{
    if (qmp != NULL) {
        g_queue_free_full(qmp->events, (GDestroyNotify)json_decref);
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

/* The request as one line; with a descriptor beside it where fd is one. */
static gboolean send_request(Qmp *qmp, const char *command, json_t *arguments, int fd, GError **error)
{
    g_autoptr(json_t) request = json_pack("{s:s}", "execute", command);
    if (arguments != NULL) {
        json_object_set_new(request, "arguments", arguments);
    }
    g_autofree char *text = ingot_json_canonical(request);
    if (fd < 0) {
        GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(qmp->connection));
        return g_output_stream_printf(output, NULL, NULL, error, "%s\n", text);
    }
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    GOutputVector vector = {.buffer = line, .size = strlen(line)};
    GSocketControlMessage *message = g_unix_fd_message_new();
    g_autoptr(GSocketControlMessage) owner = message;
    return g_unix_fd_message_append_fd(G_UNIX_FD_MESSAGE(message), fd, error) &&
           g_socket_send_message(g_socket_connection_get_socket(qmp->connection), NULL, &vector, 1, &message, 1, 0,
                                 NULL, error) == (gssize)strlen(line);
}

static void keep_event(Qmp *qmp, json_t *event)
{
    g_queue_push_tail(qmp->events, json_incref(event));
    if (qmp->events->length > EVENTS_KEPT) {
        json_decref(g_queue_pop_head(qmp->events));
    }
}

json_t *qmp_command_fd(Qmp *qmp, const char *command, json_t *arguments, int fd, GError **error)
{
    if (!send_request(qmp, command, arguments, fd, error)) {
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
        keep_event(qmp, answer);
    }
}

json_t *qmp_command(Qmp *qmp, const char *command, json_t *arguments, GError **error)
{
    return qmp_command_fd(qmp, command, arguments, -1, error);
}

json_t *qmp_event(Qmp *qmp, const char *name, GError **error)
{
    for (;;) {
        g_autoptr(json_t) event = g_queue_pop_head(qmp->events);
        if (event == NULL) {
            event = read_message(qmp, error);
        }
        if (event == NULL || g_strcmp0(json_string_value(json_object_get(event, "event")), name) == 0) {
            return g_steal_pointer(&event);
        }
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
    qmp->events = g_queue_new();
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

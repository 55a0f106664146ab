#include "machine/qmp.h"

#include <errno.h>
#include <gio/gunixfdmessage.h>
#include <gio/gunixsocketaddress.h>
#include <ingot/error.h>
#include <poll.h>
#include <string.h>

#include "base/process.h"

#define RETRY_USEC (G_USEC_PER_SEC / 100)
#define LIMIT_MS (5 * 60 * 1000) /* an answer waits for QEMU's disk, which may be slow */
#define EVENTS_KEPT 64           /* that nobody has waited for yet */
#define MESSAGE_MAX (16u << 20)  /* bytes */

struct Qmp {
    GSocketConnection *connection;
    GSocket *socket; /* the connection's */
    GString *input;  /* received, and not taken yet */
    GQueue *events;  /* of json_t */
    guint limit;     /* milliseconds */
    json_int_t last; /* number of the last command */
    gboolean closed;
};

void qmp_free(Qmp *qmp)
{
    if (qmp != NULL) {
        g_queue_free_full(qmp->events, (GDestroyNotify)json_decref);
        g_string_free(qmp->input, TRUE);
        g_clear_object(&qmp->connection);
        g_free(qmp);
    }
}

void qmp_set_limit(Qmp *qmp, guint milliseconds)
{
    qmp->limit = milliseconds;
}

gboolean qmp_closed(const Qmp *qmp)
{
    return qmp->closed;
}

/* --- messages --- */

/* Waits until there is something to read. until: monotonic time in microseconds; 0: no limit. */
static gboolean wait_readable(Qmp *qmp, gint64 until, const char *what, GError **error)
{
    struct pollfd waits[] = {{.fd = g_socket_get_fd(qmp->socket), .events = POLLIN},
                             {.fd = ingot_interrupt_fd(), .events = POLLIN}};
    for (;;) {
        gint64 left = (until - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;
        if (until != 0 && left < 0) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU has not answered '%s' within %.0f s", what,
                        qmp->limit / 1e3);
            return FALSE;
        }
        int ready = poll(waits, G_N_ELEMENTS(waits), until == 0 ? -1 : (int)MIN(left + 1, G_MAXINT));
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (ready > 0 && waits[0].revents != 0) {
            return TRUE;
        }
        if (ready < 0 && errno != EINTR) {
            return ingot_error_set_errno(error, errno, "waiting for QEMU");
        }
    }
}

static gboolean receive_more(Qmp *qmp, GError **error)
{
    char buffer[65536];
    g_autoptr(GError) problem = NULL;
    gssize got = g_socket_receive_with_blocking(qmp->socket, buffer, sizeof buffer, FALSE, NULL, &problem);
    if (g_error_matches(problem, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        return TRUE;
    }
    if (got <= 0) {
        qmp->closed = TRUE;
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU closed its control socket%s%s",
                    problem == NULL ? "" : ": ", problem == NULL ? "" : problem->message);
        return FALSE;
    }
    g_string_append_len(qmp->input, buffer, got);
    if (qmp->input->len > MESSAGE_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU sends a message of more than %u MiB",
                    MESSAGE_MAX >> 20);
        return FALSE;
    }
    return TRUE;
}

/* The next message; what: the command that it is waited for after. */
static json_t *read_message(Qmp *qmp, gint64 until, const char *what, GError **error)
{
    const char *end;
    while ((end = memchr(qmp->input->str, '\n', qmp->input->len)) == NULL) {
        if (!wait_readable(qmp, until, what, error) || !receive_more(qmp, error)) {
            return NULL;
        }
    }
    gsize size = (gsize)(end - qmp->input->str);
    json_t *message = ingot_json_parse(qmp->input->str, size, "QMP", error);
    g_string_erase(qmp->input, 0, (gssize)size + 1);
    return message;
}

/* The request as one line; with a descriptor beside it where fd is one. */
static gboolean send_request(Qmp *qmp, const char *command, json_t *arguments, int fd, GError **error)
{
    g_autoptr(json_t) request = json_pack("{s:s, s:I}", "execute", command, "id", ++qmp->last);
    if (arguments != NULL) {
        json_object_set_new(request, "arguments", arguments);
    }
    g_autofree char *text = ingot_json_canonical(request);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    GOutputVector vector = {.buffer = line, .size = strlen(line)};
    GSocketControlMessage *message = fd < 0 ? NULL : g_unix_fd_message_new();
    g_autoptr(GSocketControlMessage) owner = message;
    g_autoptr(GError) problem = NULL;
    if (message != NULL && !g_unix_fd_message_append_fd(G_UNIX_FD_MESSAGE(message), fd, error)) {
        return FALSE;
    }
    if (g_socket_send_message(qmp->socket, NULL, &vector, 1, message == NULL ? NULL : &message, message == NULL ? 0 : 1,
                              0, NULL, &problem) == (gssize)vector.size) {
        return TRUE;
    }
    qmp->closed = TRUE;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU closed its control socket%s%s",
                problem == NULL ? "" : ": ", problem == NULL ? "" : problem->message);
    return FALSE;
}

/* --- commands and events --- */

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
    gint64 until = g_get_monotonic_time() + (gint64)qmp->limit * G_TIME_SPAN_MILLISECOND;
    for (;;) {
        g_autoptr(json_t) message = read_message(qmp, until, command, error);
        if (message == NULL) {
            return NULL;
        }
        if (json_object_get(message, "event") != NULL) {
            keep_event(qmp, message);
            continue;
        }
        const json_t *id = json_object_get(message, "id");
        if (id != NULL && json_integer_value(id) != qmp->last) {
            continue; /* the late answer to a command that was given up */
        }
        json_t *result = json_object_get(message, "return");
        if (result == NULL) {
            const char *reason = json_string_value(json_object_get(json_object_get(message, "error"), "desc"));
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "QEMU refuses %s: %s", command,
                        reason == NULL ? "it gives no reason" : reason);
        }
        return json_incref(result);
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
            event = read_message(qmp, 0, name, error);
        }
        if (event == NULL || g_strcmp0(json_string_value(json_object_get(event, "event")), name) == 0) {
            return g_steal_pointer(&event);
        }
    }
}

static gboolean negotiate(Qmp *qmp, GError **error)
{
    gint64 until = g_get_monotonic_time() + (gint64)qmp->limit * G_TIME_SPAN_MILLISECOND;
    g_autoptr(json_t) greeting = read_message(qmp, until, "hello", error);
    g_autoptr(json_t) answer = greeting == NULL ? NULL : qmp_command(qmp, "qmp_capabilities", NULL, error);
    return answer != NULL;
}

Qmp *qmp_connect(const char *path, QmpAlive alive, gpointer user, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(Qmp) qmp = g_new0(Qmp, 1);
    qmp->events = g_queue_new();
    qmp->input = g_string_new(NULL);
    qmp->limit = LIMIT_MS;
    while ((qmp->connection = g_socket_client_connect(client, G_SOCKET_CONNECTABLE(address), NULL, NULL)) == NULL) {
        if (!alive(user, error)) {
            return NULL;
        }
        g_usleep(RETRY_USEC);
    }
    qmp->socket = g_socket_connection_get_socket(qmp->connection);
    return negotiate(qmp, error) ? g_steal_pointer(&qmp) : NULL;
}

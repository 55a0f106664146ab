/* QMP against a server of our own: the greeting, answers among events, refusals, a connection that ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "machine/qmp.h"

/* What the server says: the greeting first, then one line (or several) for each line that it is sent. */
typedef struct {
    GSocketListener *listener;
    const char *const *says;
    GPtrArray *heard;
} Server;

static gpointer serve(gpointer user)
{
    Server *server = user;
    g_autoptr(GSocketConnection) connection = g_socket_listener_accept(server->listener, NULL, NULL, NULL);
    g_autoptr(GDataInputStream) input = g_data_input_stream_new(g_io_stream_get_input_stream(G_IO_STREAM(connection)));
    GOutputStream *output = g_io_stream_get_output_stream(G_IO_STREAM(connection));
    for (guint i = 0; server->says[i] != NULL; i++) {
        g_output_stream_printf(output, NULL, NULL, NULL, "%s\r\n", server->says[i]);
        if (server->says[i + 1] != NULL) {
            g_ptr_array_add(server->heard, g_data_input_stream_read_line(input, NULL, NULL, NULL));
        }
    }
    g_io_stream_close(G_IO_STREAM(connection), NULL, NULL);
    return NULL;
}

static gboolean alive(gpointer user, GError **error)
{
    (void)user, (void)error;
    return TRUE;
}

/* Runs a session: connects, then sends two commands. Their answers, or what went wrong. */
static void talk(const char *const *says, GPtrArray *heard, json_t **first, json_t **second, GError **error)
{
    g_autoptr(IngotWorkdir) workdir = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(workdir, "qmp");
    g_autoptr(GSocketAddress) address = g_unix_socket_address_new(path);
    g_autoptr(GSocketListener) listener = g_socket_listener_new();
    assert_true(g_socket_listener_add_address(listener, address, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL,
                                              NULL, NULL));
    Server server = {.listener = listener, .says = says, .heard = heard};
    GThread *thread = g_thread_new("server", serve, &server);
    g_autoptr(Qmp) qmp = qmp_connect(path, alive, NULL, error);
    *first = qmp == NULL ? NULL : qmp_command(qmp, "query-status", NULL, error);
    *second = *first == NULL ? NULL : qmp_command(qmp, "human", json_pack("{s:i}", "number", 7), error);
    g_thread_join(thread);
}

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}"
#define EVENT "{\"event\": \"RESUME\", \"data\": {}}"

static void answers_come_among_events(void **state)
{
    (void)state;
    static const char *const says[] = {GREETING, "{\"return\": {}}",
                                       EVENT "\r\n{\"return\": {\"status\": \"running\"}}",
                                       EVENT "\r\n" EVENT "\r\n{\"return\": 3}", NULL};
    g_autoptr(GPtrArray) heard = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(json_t) first = NULL;
    g_autoptr(json_t) second = NULL;
    g_autoptr(GError) error = NULL;
    talk(says, heard, &first, &second, &error);
    assert_null(error);
    assert_string_equal(json_string_value(json_object_get(first, "status")), "running");
    assert_int_equal(json_integer_value(second), 3);
    assert_string_equal(heard->pdata[0], "{\"execute\":\"qmp_capabilities\",\"id\":1}");
    assert_string_equal(heard->pdata[2], "{\"arguments\":{\"number\":7},\"execute\":\"human\",\"id\":3}");
}

static void a_refusal_is_told(void **state)
{
    (void)state;
    static const char *const says[] = {GREETING, "{\"return\": {}}",
                                       "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}", NULL};
    g_autoptr(GPtrArray) heard = g_ptr_array_new_with_free_func(g_free);
    json_t *first, *second;
    g_autoptr(GError) error = NULL;
    talk(says, heard, &first, &second, &error);
    assert_non_null(strstr(error->message, "query-status"));
    assert_non_null(strstr(error->message, "no such thing"));
}

/* The answer to a command that was given up comes after all: it is not the next one's. */
static void a_late_answer_is_dropped(void **state)
{
    (void)state;
    static const char *const says[] = {GREETING, "{\"return\": {}, \"id\": 1}", "{\"return\": \"right\", \"id\": 2}",
                                       "{\"return\": \"late\", \"id\": 2}\r\n{\"return\": \"right\", \"id\": 3}", NULL};
    g_autoptr(GPtrArray) heard = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(json_t) first = NULL;
    g_autoptr(json_t) second = NULL;
    talk(says, heard, &first, &second, NULL);
    assert_string_equal(json_string_value(first), "right");
    assert_string_equal(json_string_value(second), "right");
}

static void an_end_is_told(void **state)
{
    (void)state;
    static const char *const ends[][3] = {{GREETING, NULL}, {GREETING, "{\"return\": {}}", NULL}, {"not JSON", NULL}};
    for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autoptr(GPtrArray) heard = g_ptr_array_new_with_free_func(g_free);
        json_t *first, *second;
        g_autoptr(GError) error = NULL;
        talk(ends[i], heard, &first, &second, &error);
        assert_null(first);
        assert_non_null(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_among_events),
        cmocka_unit_test(a_refusal_is_told),
        cmocka_unit_test(a_late_answer_is_dropped),
        cmocka_unit_test(an_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* How a request ended: a registry that does not answer on a connection that stands was reached. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <gio/gio.h>
#include <ingot/error.h>
#include <ingot/remote.h>
#include <string.h>

#include "remote/environment.h"
#include "remote/relay.h"

/* Answers the first request of its one connection, and no other. */
static gpointer serve(gpointer data)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    g_autoptr(GSocket) connection = g_socket_accept(data, NULL, NULL);
    char request[4096];
    assert_true(g_socket_receive(connection, request, sizeof request, NULL, NULL) > 0);
    assert_int_equal(g_socket_send(connection, answer, strlen(answer), NULL, NULL), strlen(answer));
    while (g_socket_receive(connection, request, sizeof request, NULL, NULL) > 0) {
    }
    return NULL;
}

static void a_stall_on_a_connection_that_stood_is_no_lack_of_one(void **state)
{
    g_autoptr(GSocket) door = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
    g_autoptr(GError) error = NULL;
    const IngotDigest digest = {0};
    guint64 size;
    (void)state;
    assert_true(g_socket_bind(door, any, FALSE, NULL) && g_socket_listen(door, NULL));
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(door, NULL);
    g_autofree char *where =
        g_strdup_printf("http://127.0.0.1:%u", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
    GThread *thread = g_thread_new("serve", serve, door);
    g_autoptr(IngotRemote) remote = environment_remote(where, NULL);
    ingot_remote_limit(remote, 5, 1, 0);
    assert_true(ingot_remote_blob_size(remote, "team/web", &digest, &size, NULL));
    assert_int_equal(size, 7);
    assert_false(ingot_remote_blob_size(remote, "team/web", &digest, &size, &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
    assert_int_equal(ingot_remote_ended(remote), INGOT_REMOTE_OTHERWISE);
    g_clear_pointer(&remote, ingot_remote_free);
    g_thread_join(thread);

    g_socket_close(door, NULL);
    g_clear_error(&error);
    remote = environment_remote(where, NULL);
    assert_false(ingot_remote_blob_size(remote, "team/web", &digest, &size, &error));
    assert_int_equal(ingot_remote_ended(remote), INGOT_REMOTE_UNREACHED); /* nobody listens any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stall_on_a_connection_that_stood_is_no_lack_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

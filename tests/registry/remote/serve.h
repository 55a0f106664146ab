/* A registry of a few lines for the tests of its client: a function gives the answer to each request. */
#pragma once

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

/* What is answered to a request whose first line and headers these are: all of the answer but "Connection: close";
 * NULL: the connection is closed without one. sent: bytes of its body. Called by the server's thread. */
typedef char *(*ServeFunc)(const char *request, gsize sent, gpointer user);
/* The same of answers that have zeros in them. */
typedef GBytes *(*ServeBytesFunc)(const char *request, gpointer user);

typedef struct {
    GSocket *door;
    GThread *thread;
    char *where; /* its URL */
    ServeFunc answer;
    ServeBytesFunc answer_bytes; /* NULL: answer gives it */
    gpointer user;
    gulong pause; /* microseconds before each byte of an answer; 0: it comes at once */
    gsize most;   /* bytes of a body that are read; a longer one is not; 0: all */
    gint ends;    /* atomic */
} Serve;

/* The request's head; its body is read, as far as it is to be, and counted. NULL: the connection has ended. */
static inline char *serve_receive(GSocket *connection, gsize most, gsize *sent)
{
    g_autoptr(GString) all = g_string_new(NULL);
    char bytes[16384];
    gssize got;
    const char *end;
    while ((end = strstr(all->str, "\r\n\r\n")) == NULL) {
        if ((got = g_socket_receive(connection, bytes, sizeof bytes, NULL, NULL)) <= 0) {
            return NULL;
        }
        g_string_append_len(all, bytes, got);
    }
    const char *length = strstr(all->str, "Content-Length: ");
    gsize size = length == NULL ? 0 : (gsize)g_ascii_strtoull(length + strlen("Content-Length: "), NULL, 10);
    *sent = all->len - (gsize)(end + 4 - all->str);
    size = most > 0 ? MIN(size, most) : size;
    while (*sent < size &&
           (got = g_socket_receive(connection, bytes, MIN(sizeof bytes, size - *sent), NULL, NULL)) > 0) {
        *sent += (gsize)got;
    }
    return g_strndup(all->str, (gsize)(end - all->str));
}

static inline void serve_send(GSocket *connection, GBytes *answer, gulong pause)
{
    gsize size;
    const char *data = g_bytes_get_data(answer, &size);
    for (gsize at = 0; at < size;) {
        g_usleep(pause);
        gssize count = g_socket_send(connection, data + at, pause > 0 ? 1 : size - at, NULL, NULL);
        if (count <= 0) {
            return;
        }
        at += (gsize)count;
    }
}

static inline GBytes *serve_answer(const Serve *serve, const char *request, gsize sent)
{
    if (serve->answer_bytes != NULL) {
        return serve->answer_bytes(request, serve->user);
    }
    char *text = serve->answer(request, sent, serve->user);
    return text == NULL ? NULL : g_bytes_new_take(text, strlen(text));
}

static inline gpointer serve_run(gpointer data)
{
    Serve *serve = data;
    for (;;) {
        g_autoptr(GSocket) connection = g_socket_accept(serve->door, NULL, NULL);
        gsize sent = 0;
        if (connection == NULL || g_atomic_int_get(&serve->ends)) {
            return NULL;
        }
        g_autofree char *request = serve_receive(connection, serve->most, &sent);
        g_autoptr(GBytes) answer = request == NULL ? NULL : serve_answer(serve, request, sent);
        if (answer != NULL) {
            serve_send(connection, answer, serve->pause);
        }
    }
}

static inline Serve *serve_begin(ServeFunc answer, ServeBytesFunc answer_bytes, gpointer user)
{
    Serve *serve = g_new0(Serve, 1);
    g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
    g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
    serve->door = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
    assert_true(g_socket_bind(serve->door, any, FALSE, NULL) && g_socket_listen(serve->door, NULL));
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(serve->door, NULL);
    serve->where = g_strdup_printf("http://127.0.0.1:%u", g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound)));
    serve->answer = answer;
    serve->answer_bytes = answer_bytes;
    serve->user = user;
    serve->thread = g_thread_new("serve", serve_run, serve);
    return serve;
}

static inline Serve *serve_new(ServeFunc answer, gpointer user)
{
    return serve_begin(answer, NULL, user);
}

static inline Serve *serve_new_bytes(ServeBytesFunc answer, gpointer user)
{
    return serve_begin(NULL, answer, user);
}

static inline void serve_free(Serve *serve)
{
    g_autoptr(GSocketAddress) bound = g_socket_get_local_address(serve->door, NULL);
    g_autoptr(GSocket) last = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
    g_atomic_int_set(&serve->ends, TRUE);
    g_socket_connect(last, bound, NULL, NULL);
    g_thread_join(serve->thread);
    g_object_unref(serve->door);
    g_free(serve->where);
    g_free(serve);
}

/* "200 OK", more headers ("" or whole lines), a body. */
static inline char *serve_text(const char *status, const char *headers, const char *body)
{
    return g_strdup_printf("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n%s\r\n%s",
                           status, strlen(body), headers, body);
}

/* A client of it that waits for nothing. */
static inline IngotRemote *serve_remote(const Serve *serve)
{
    IngotRemote *remote = environment_remote(serve->where, NULL);
    assert_non_null(remote);
    ingot_remote_limit(remote, 5, 5, 0);
    return remote;
}

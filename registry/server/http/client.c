#include "server/http/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include "server/http/network.h"

const struct sockaddr *client_socket_address(const Request *request)
{
    return request->client.ss_family == AF_UNSPEC ? NULL : (const struct sockaddr *)&request->client;
}

char *client_address(const Request *request)
{
    const struct sockaddr *address = client_socket_address(request);
    char text[INET6_ADDRSTRLEN] = "-";
    if (address != NULL && address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    } else if (address != NULL && address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    }
    return g_strdup(text);
}

void client_write_address(const Request *request, char *text, gsize size)
{
    g_autofree char *address = client_address(request);
    g_strlcpy(text, client_socket_address(request) == NULL ? "" : address, size);
}

guint64 client_network(const Request *request)
{
    return network_of(client_socket_address(request));
}

gboolean client_has_left(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd wait = {.fd = info->connect_fd, .events = POLLRDHUP};
    return poll(&wait, 1, 0) > 0 && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

gboolean client_may_ask(Request *request, Rate *rate)
{
    static const char body[] =
        "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"too many requests of this address\"}]}";
    const struct sockaddr *address = client_socket_address(request);
    if (rate == NULL || address == NULL || rate_take(rate, address, request->start)) {
        return TRUE;
    }
    request_answer(request, MHD_HTTP_TOO_MANY_REQUESTS, "application/json", body, sizeof body - 1,
                   MHD_HTTP_HEADER_RETRY_AFTER, "1", NULL);
    return FALSE;
}

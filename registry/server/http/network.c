#include "server/http/network.h"

#include <netinet/in.h>
#include <string.h>

/* The prefix ::ffff: is reserved within IPv6: no network there begins with it. */
static guint64 of_ipv4(const void *address)
{
    guint8 bytes[8] = {0, 0, 0xff, 0xff};
    guint64 network;
    memcpy(bytes + 4, address, 4);
    memcpy(&network, bytes, sizeof network);
    return network;
}

static guint64 of_ipv6(const struct in6_addr *address)
{
    guint64 network;
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        return of_ipv4(address->s6_addr + 12);
    }
    memcpy(&network, address->s6_addr, sizeof network);
    return network;
}

guint64 network_of(const struct sockaddr *address)
{
    switch (address == NULL ? AF_UNSPEC : address->sa_family) {
    case AF_INET:
        return of_ipv4(&((const struct sockaddr_in *)address)->sin_addr);
    case AF_INET6:
        return of_ipv6(&((const struct sockaddr_in6 *)address)->sin6_addr);
    default:
        return 0;
    }
}

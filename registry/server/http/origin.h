/* Where a request comes from, and where its client finds this server: what a proxy says of both, and whom to believe.
 *
 * Invariant: Forwarded and X-Forwarded-* count only where the peer is a trusted proxy, or comes by the Unix socket,
 * which only programs on this machine reach that may open it. Of a list of addresses the last one that is no trusted
 * proxy is the client's: what stands before it, the client may have made up. Thread safe once it is made. */
#pragma once

#include "server/http/request.h"

typedef struct Origin Origin;
/* external_url: what clients call this server, "https://HOST[:PORT][/PREFIX]"; NULL: what they ask for. proxies:
 * addresses and networks, with commas between; NULL: none. tls: whether it serves by TLS itself. INVALID. */
Origin *origin_new(const char *external_url, const char *proxies, gboolean tls, GError **error);
void origin_free(Origin *origin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Origin, origin_free)

/* Fills what the request has of its origin, and takes the prefix off its path. FALSE: it is refused. */
gboolean origin_take(const Origin *origin, Request *request);

/* "https://HOST/PREFIX", as the client knows this server; NULL where its Host header is none. Free it. */
char *origin_base(const Request *request);
/* Whether the request was made on this machine for this machine: by a loopback name and through no proxy. A page of a
 * browser whose name resolves to 127.0.0.1 is not that, nor is a proxy that serves others. */
gboolean origin_is_local(const Request *request);

/* Pure functions behind these. */
/* Whether the text may be a host, with a port or without: nothing in it ends a header or a quoted text. */
gboolean origin_is_host(const char *text);
/* "localhost", "x.localhost", "127.0.0.1", "[::1]", each with a port or without. */
gboolean origin_is_loopback_host(const char *text);
/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80", with quotes around it or without. */
gboolean origin_parse_address(const char *text, struct sockaddr_storage *address);

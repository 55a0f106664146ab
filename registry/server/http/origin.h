/* Where a request comes from, and where its client finds this server: what a proxy says of both, and whom to believe.
 *
 * Invariant: what a proxy says counts only where the peer is a trusted proxy, or comes by the Unix socket, which only
 * programs on this machine reach that may open it; and only in the family of headers that the proxies are known to
 * write, for a proxy passes on what it does not know. Of a list of addresses the last one that is no trusted proxy is
 * the client's: what stands before it, the client may have made up. Thread safe once it is made. */
#pragma once

#include "server/http/request.h"

/* X-Forwarded-For, -Proto, -Host and -Prefix; or Forwarded (RFC 7239). */
typedef enum { ORIGIN_BY_X_FORWARDED, ORIGIN_BY_FORWARDED } OriginHeader;

typedef struct Origin Origin;
/* external_url: what clients call this server, "https://HOST[:PORT][/PREFIX]"; NULL: what they ask for. proxies:
 * addresses and networks, with commas between; NULL: none. tls: whether it serves by TLS itself. INVALID. */
Origin *origin_new(const char *external_url, const char *proxies, OriginHeader header, gboolean tls, GError **error);
void origin_free(Origin *origin);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Origin, origin_free)

/* Fills what the request has of its origin, and takes the prefix off its path. FALSE: it is refused. */
gboolean origin_take(const Origin *origin, Request *request);

/* "https://HOST/PREFIX", as the client knows this server; NULL where its Host header is none. Free it. */
char *origin_base(const Request *request);
/* Whether the request was made on this machine for this machine: by a loopback name and through no proxy. A page of a
 * browser whose name resolves to 127.0.0.1 is not that, nor is a proxy that serves others, as long as it shows itself
 * by a header or by HTTP 1.0. */
gboolean origin_is_local(const Request *request);
/* Whether a browser sent it for a page of another site, as its headers Sec-Fetch-Site and Origin say. */
gboolean origin_is_cross_site(const Request *request);

/* Pure functions behind these. */
/* Whether the text may be a host, with a port or without: nothing in it ends a header or a quoted text. */
gboolean origin_is_host(const char *text);
/* "localhost", "x.localhost", "127.0.0.1", "[::1]", each with a port or without. */
gboolean origin_is_loopback_host(const char *text);
/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80", with quotes around it or without. */
gboolean origin_parse_address(const char *text, struct sockaddr_storage *address);

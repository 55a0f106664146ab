/* Which hosts are asked without a proxy: $NO_PROXY as Go's clients (docker, skopeo, podman) read it, not as libcurl
 * does, which knows no ports. Names stand for themselves and what is below them (".example" for the latter alone),
 * addresses and networks (10.0.0.0/8) for addresses; any may have a port; "*" is all. Hosts of this machine are never
 * asked by a proxy: it would learn our login to them. */
#pragma once

#include <glib.h>

/* Whether a list has a host (an IPv6 address without brackets) with that port. */
gboolean bypass_has(const char *list, const char *host, guint port);
/* What libcurl is told (CURLOPT_NOPROXY) for a transfer that begins at this URL, and may be redirected; list may be
 * NULL. Free it. */
char *bypass_for(const char *list, const char *url);

/* Which registries are spoken to by plain HTTP: those of this machine, and those that the options name. */
#pragma once

#include <ingot/options.h>

/* Whether a HOST[:PORT] is of this machine alone. */
gboolean http_is_loopback(const char *host);
/* Whether the options name it. */
gboolean plain_is_named(const IngotRemoteOptions *options, const char *host);
/* Whether what is sent there by plain HTTP may be a login. */
gboolean plain_is_trusted(const IngotRemoteOptions *options, const char *host);
/* Whether it is asked by plain HTTP where nobody says how. One of this machine is, unless the options have the word
 * "none", or a file of certificates and it speaks TLS, which is tried. */
gboolean plain_is_asked(const IngotRemoteOptions *options, const char *host);

/* Which registries are spoken to by plain HTTP: those of this machine, and those that $INGOT_PLAIN_HTTP names. */
#pragma once

#include <glib.h>

/* Whether a HOST[:PORT] is of this machine alone. */
gboolean http_is_loopback(const char *host);
/* Whether the variable names it: HOST[:PORT], with commas or blanks between several. */
gboolean plain_is_named(const char *host);
/* Whether what is sent there by plain HTTP may be a login. */
gboolean plain_is_trusted(const char *host);
/* Whether it is asked by plain HTTP where nobody says how. One of this machine is, unless the variable has the word
 * "none", or $INGOT_CA is set and it speaks TLS, which is tried. */
gboolean plain_is_asked(const char *host);

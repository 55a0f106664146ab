/* Which addresses are everybody's: those that a request on somebody else's behalf may go to.
 *
 * Not those of this machine, of private networks, of one link, of groups, and not those that the registries of special
 * purposes (RFC 6890) keep for something else. Of an IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4),
 * the latter decides. Pure. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

gboolean address_is_public(const struct sockaddr *address);

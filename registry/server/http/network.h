/* The network that an address counts as where clients are told apart: an IPv4 address is one, of an IPv6 address the
 * first 64 bits are, since one host has all of the rest. An IPv4 address may come as ::ffff:a.b.c.d, where one socket
 * takes both. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

/* Equal for equal networks; 0 for what is neither IPv4 nor IPv6 (a Unix socket, NULL). */
guint64 network_of(const struct sockaddr *address);

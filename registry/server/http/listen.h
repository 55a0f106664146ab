/* The socket that connections come to: one that the service manager hands over, or else one of our own. */
#pragma once

#include "server/auth/access.h"

/* A listening socket (close it), or -1. listen_on: ADDRESS:PORT with an IP address (port 0: a free one), which is not
 * looked at where systemd has passed a socket (sd_listen_fds(3)). url (free it) says where it listens. INVALID
 * where access does not let this address be served. */
int listen_open(const char *listen_on, gboolean tls, Access *access, char **url, GError **error);

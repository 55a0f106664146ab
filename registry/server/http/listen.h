/* The socket that connections come to: one that the service manager hands over, or else one of our own. */
#pragma once

#include <glib.h>

/* A listening socket (close it), or -1. listen_on: ADDRESS:PORT with an IP address (port 0: a free one), which is not
 * looked at where systemd has passed a socket (sd_listen_fds(3)). where (free it) is the address that it listens on,
 * *loopback whether only this machine reaches it. */
int listen_open(const char *listen_on, char **where, gboolean *loopback, GError **error);

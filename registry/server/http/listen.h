/* The sockets that connections come to: those that the service manager hands over, or else our own. */
#pragma once

#include <glib.h>

typedef struct {
    int fd;            /* -1: it is another's */
    char *where;       /* address, or path of a Unix socket */
    gboolean network;  /* by TCP */
    gboolean loopback; /* only this machine reaches it */
    gboolean figures;  /* health and metrics alone are served */
} Listener;
GArray *listeners_new(void); /* of Listener; unref it */

/* Adds those of a list with commas between: ADDRESS:PORT with an IP address (port 0: a free one), or unix:PATH, which
 * its owner and group may open. Where systemd has passed sockets (sd_listen_fds(3)), those count instead of the list.
 */
gboolean listen_open(const char *list, GArray *listeners, GError **error);
/* Adds the one for health and metrics. */
gboolean listen_open_figures(const char *listen_on, GArray *listeners, GError **error);

/* Free TCP ports of 127.0.0.1 for QEMU to forward. */
#pragma once

#include <glib.h>

/* A free port, and a socket that holds it: until that is closed nobody else is given the port, while QEMU, which sets
 * SO_REUSEADDR, can listen on it. -1 with an error if there is none. Close it. */
int ports_hold(guint16 *port, GError **error);

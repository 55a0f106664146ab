/* Free TCP ports of 127.0.0.1 for QEMU to forward. */
#pragma once

#include <glib.h>

/* A port that was free a moment ago; each call gives another. 0 with an error if there is none. */
guint16 ports_free(GError **error);

/* The watch over an appliance: libguestfs waits for as long as the appliance takes, and can't be told to stop.
 *
 * A thread of the watch's own waits for the process to be interrupted, by a signal or a time limit, and then ends the
 * appliance's QEMU, wherever libguestfs stands: the call returns with a failure. QEMU is found by its command line, for
 * libguestfs does not tell its process while it launches it. */
#pragma once

#include <glib.h>
#include <guestfs.h>

/* Until the handle is closed; call it before the launch. */
gboolean appliance_watch(guestfs_h *g, GError **error);
/* Ends every process that has the mark in its command line. */
void appliance_kill(const char *mark);

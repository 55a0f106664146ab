/* What an offline step makes of /etc/resolv.conf.
 *
 * While the system's shell runs, libguestfs has a file of its own there, so that the step reaches the network, and puts
 * the system's back behind it, over whatever the step has made of it. So what the step has made is carried past that:
 * one script notes the file before the step, one moves what has changed out of the way behind it, and in the end it is
 * moved to its place. */
#pragma once

#include <glib.h>
#include <guestfs.h>

/* Scripts for the step's guest: before it, and behind it. The second fails where a change cannot be kept. */
extern const char resolver_before[], resolver_behind[];
/* Once the shell has ended. */
gboolean resolver_finish(guestfs_h *g, GError **error);

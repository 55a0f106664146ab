/* Awaiting a file that a registry has yet to work out: it says 503 with Retry-After meanwhile, which Vagrant takes for
 * a failure. So the head is asked for first, again and again, with all that Vagrant says to curl. */
#pragma once

#include <glib.h>

/* program: the real curl; arguments: Vagrant's, the URL last, ended by NULL; told: the file that a line for the user
 * goes to. FALSE: a signal came. Else curl is to go on, and to say what there is to say: the file is there, or can't be
 * had, or did not come for half an hour. */
gboolean await_file(const char *program, const char *const *arguments, const char *told);

/* What the heads of an answer (of all that a client was sent on to) say: seconds until it is to be asked again; 0:
 * there is nothing to wait for. */
guint await_seconds(const char *heads);

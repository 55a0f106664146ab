/* A verb that root runs beside a service that does not: what it adds to the data folder belongs to the folder's owner,
 * so that the server can read it afterwards. */
#pragma once

#include <glib.h>

/* From here on the thread, and each that it starts, makes files as the owner of the folder would, and may reach what
 * it may reach now. Nothing where the folder is not there, is its own, or the caller is not root. */
gboolean owner_assume(const char *folder, GError **error);

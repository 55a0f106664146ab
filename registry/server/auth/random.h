/* Secrets that nobody can guess. */
#pragma once

#include <glib.h>

/* Bytes from the kernel's generator; at most 256. */
gboolean random_bytes(guint8 *bytes, gsize size, GError **error);

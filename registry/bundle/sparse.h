/* Writes to a new file that leave holes where there are zeros. */
#pragma once

#include <glib.h>

/* The bytes at offset; `name` names the file in errors. The caller sets the file's size in the end. How many were no
 * holes is added to *written (or NULL). */
gboolean sparse_write(int fd, const guint8 *bytes, gsize size, guint64 offset, guint64 *written, const char *name,
                      GError **error);

/* Writes to a new file that leave holes where there are zeros. */
#pragma once

#include <glib.h>

/* The bytes at offset; `name` names the file in errors. The caller sets the file's size in the end. */
gboolean sparse_write(int fd, const guint8 *bytes, gsize size, guint64 offset, const char *name, GError **error);

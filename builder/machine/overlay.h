/* qcow2 overlays by qemu-img: a build never writes to the disk that it starts from. */
#pragma once

#include <glib.h>

/* A new qcow2 at path on top of base (absolute path, or one that is relative to path's folder; of format), of size
 * bytes (0: as base). */
gboolean overlay_create(const char *path, const char *base, const char *format, guint64 size, GError **error);
/* A new qcow2 at path that is empty: zeros, of size bytes. */
gboolean overlay_empty(const char *path, guint64 size, GError **error);
/* Names what it stands on anew, without looking at it. */
gboolean overlay_rename_base(const char *path, const char *base, const char *format, GError **error);
/* The format of what it stands on (free it); NULL: it stands on nothing. */
gboolean overlay_base_format(const char *path, char **format, GError **error);
/* The guest-visible size of a disk of that format, in bytes. */
gboolean overlay_size(const char *path, const char *format, guint64 *size, GError **error);

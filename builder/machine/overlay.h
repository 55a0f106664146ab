/* qcow2 overlays by qemu-img: a build never writes to the disk that it starts from. */
#pragma once

#include <glib.h>

/* A new qcow2 at path on top of base (absolute path, of format), of size bytes (0: as base). */
gboolean overlay_create(const char *path, const char *base, const char *format, guint64 size, GError **error);
/* A new qcow2 at path that is empty: zeros, of size bytes. */
gboolean overlay_empty(const char *path, guint64 size, GError **error);
/* The guest-visible size of a disk of that format, in bytes. */
gboolean overlay_size(const char *path, const char *format, guint64 *size, GError **error);

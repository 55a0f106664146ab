/* Block devices, and who has them mounted. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The numbers of the device, its partitions, and of what is built on any of them (LVM, RAID, LUKS): guint64. */
GArray *device_numbers(guint64 number);

/* Where in the lines of /proc/self/mountinfo a device is mounted whose number is one of these; NULL: nowhere. Free it.
 * writable: mounts for reading alone don't count. */
char *device_mounted(const char *mountinfo, const guint64 *numbers, guint count, gboolean writable);

/* The same of a device, all of which device_numbers are looked for. *point: NULL or where; free it. FALSE: it can't be
 * told. path: what errors call it. */
gboolean device_find_mount(const char *path, guint64 number, gboolean writable, char **point, GError **error);

G_END_DECLS

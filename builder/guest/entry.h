/* The entry: a unit that runs a root shell on the machine's own port, put on a disk before the disk boots.
 *
 * A hardened image may forbid root's ssh login, give root no shell, have no ssh server, or drop every packet. The port
 * is a device that leads to the host alone, and none of that concerns it. The unit lies on a disk only while an image
 * is built on it, or on a throw-away layer: the seal removes entry_files. */
#pragma once

#include <glib.h>

typedef struct {
    const char *disk, *format; /* file systems that need no recovery; this layer is written to */
    const char *workdir;       /* for a passing file */
    const char *cache;         /* see appliance.h */
} EntryDisk;

/* *why_not: NULL, or why the unit is not there (no systemd, a disk that libguestfs does not open): such a machine is
 * entered by ssh. Free it. */
gboolean entry_place(const EntryDisk *disk, char **why_not, GError **error);

/* What entry_place adds, NULL-terminated. */
extern const char *const entry_files[];

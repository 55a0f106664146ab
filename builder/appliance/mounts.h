/* The file systems of the system on a disk, mounted in the appliance as its /etc/fstab says.
 *
 * A disk from outside is alone: a device that its fstab names may be on another disk, or behind encryption. What is not
 * there is left out, as a machine that boots without it would; but a system without its / or /usr is none. */
#pragma once

#include <glib.h>
#include <guestfs.h>

/* *root is the device that names the system to libguestfs's inspection: free it. Adds a line (char *) to notes for
 * what is left out. */
gboolean mounts_mount(guestfs_h *g, char **root, GPtrArray *notes, GError **error);

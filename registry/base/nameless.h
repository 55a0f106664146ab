/* A file without a name: room on a file system that is given back when the descriptor is closed, however the process
 * ends.
 *
 * File systems that have no such files (NFS, many by FUSE, older overlayfs) give one a name for a moment: it begins
 * with a dot, and a process that is killed within that moment leaves it behind, empty. */
#pragma once

#include <glib.h>

/* In that folder, for reading and writing, empty; -1 on failure. */
int ingot_nameless_open(const char *folder, GError **error);

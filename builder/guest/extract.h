/* A folder that comes as a tar from a guest, which may send anything.
 *
 * Invariant: nothing outside of the target folder is touched. Names are walked component by component from the folder's
 * descriptor, never through a symlink; an absolute name and one with ".." end the extraction. Files are always new
 * files, so that no link leads to what is written. Symlinks are made as they are. Hard links must lead to a file of the
 * folder. Devices, sockets and pipes are left out, with a message. Of the mode the permissions stay: no setuid, setgid
 * and sticky bits; owners are the user's. Folders that are there keep their mode. */
#pragma once

#include <glib.h>

typedef void (*ExtractSkipFunc)(const char *message, gpointer user);

/* Extracts the tar in fd (from its beginning; name is for messages) into the folder, which is made. skip may be NULL.
 * written (may be NULL) gets the absolute path of each file and link, as a text to be freed. */
gboolean extract_tar(int fd, const char *name, const char *folder, GPtrArray *written, ExtractSkipFunc skip,
                     gpointer user, GError **error);

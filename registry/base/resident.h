/* Resident: whether bytes of a file are in memory. An event loop sends what is by sendfile(2); what is not, it would
 * wait for at the disk, with all its clients: a thread of a pool reads that.
 *
 * It costs a system call for each 64 KiB, 4,097 at most, and looks at the ends of these alone: the kernel reads ahead
 * and lets go in such runs, so what stands between is hardly ever on the disk alone. Where a file system can't tell
 * (tmpfs), the answer is yes. */
#pragma once

#include <glib.h>

gboolean resident_has(int fd, guint64 offset, guint64 size);
/* Reads what is in memory of them, from their beginning on, without waiting; how many bytes, 0 for none. */
gsize resident_read(int fd, guint64 offset, void *buffer, gsize size);
/* Reads them, so that they are; it waits for the disk. */
void resident_fetch(int fd, guint64 offset, guint64 size);

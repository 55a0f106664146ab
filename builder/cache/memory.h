/* The memory and devices of a machine as a file: QEMU's migration stream in one zstd frame, level 1 on all cores.
 *
 * A state of moderate size is spooled first: QEMU writes it to a file without a name, which takes a fraction of the
 * time that zstd takes, the guest goes on, and the spool is compressed beside it. A large one goes through a pipe, and
 * the guest stands still until it is compressed. The file's checksum (checksum.h) is compared on the way in, before the
 * guest may go on. */
#pragma once

#include "machine/machine.h"

/* The guest is stopped. The file is new; on failure nothing is left of it, and the guest may go on. */
gboolean memory_save(Machine *machine, const char *path, GError **error);
/* The same in two parts. The guest is stopped; it may go on once its state is in the spool, a file of that folder's
 * file system; -1 on failure. Then the spool, which is not closed, becomes the file, in any thread. size: of the
 * machine's memory. NO_SPACE, and nothing is written, unless as much is left for the file, and again for what the guest
 * writes meanwhile: it is not to be the guest that finds the disk full. */
int memory_spool(Machine *machine, guint64 size, const char *folder, GError **error);
gboolean memory_compress(int spool, const char *path, GError **error);
/* Into a machine that was started with `incoming`; it stays stopped. A file with another checksum is CORRUPT; any other
 * error leaves the file in good standing: QEMU may have refused it, or ended, for reasons of its own. */
gboolean memory_load(Machine *machine, const char *path, const char *checksum, GError **error);

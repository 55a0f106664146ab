/* The memory and devices of a machine as a file: QEMU's migration stream in one zstd frame, level 1 on all cores.
 *
 * It goes through a pipe: an unnamed file between QEMU and zstd would cost as many fresh pages as the guest has, which
 * on a virtual host takes longer than all the rest. The file's checksum (checksum.h) is compared on the way in, before
 * the guest may go on. */
#pragma once

#include "machine/machine.h"

/* The guest is stopped. The file is new; on failure nothing is left of it, and the guest may go on. */
gboolean memory_save(Machine *machine, const char *path, GError **error);
/* Into a machine that was started with `incoming`; it stays stopped. A file with another checksum is CORRUPT; any other
 * error leaves the file in good standing: QEMU may have refused it, or ended, for reasons of its own. */
gboolean memory_load(Machine *machine, const char *path, const char *checksum, GError **error);

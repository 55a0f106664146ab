/* A machine's state: its disk as a chain of layers, its memory and devices as a stream.
 *
 * Saving and loading is QEMU's migration (docs/devel/migration.rst of QEMU) through a descriptor. Tried under TCG with
 * a 1 GiB Debian guest: stopping it for the whole save takes 0.3 to 0.9 s; QEMU's background-snapshot lets it run
 * meanwhile, but takes 1.4 s of both processors and needs userfaultfd, which most users may not have. So it is stopped.
 *
 * A state may only be loaded by a machine of the same fingerprint, over the same disk. */
#pragma once

#include "machine/machine.h"

/* What a saved state depends on besides the disk: QEMU's version, accelerator, processor, board and shape. NULL where
 * QEMU is not there. Free it. */
char *machine_fingerprint(const MachineOptions *options, GError **error);

/* Stops the guest (in microseconds), lets it go on. */
gboolean machine_stop(Machine *machine, GError **error);
gboolean machine_continue(Machine *machine, GError **error);
/* From here on the guest writes to `paths`, one empty qcow2 for each of its disks, in order, of the disk's size. What
 * it has written so far lies in the layers before, unchanged from now on and handed to the operating system. All disks
 * move at one moment, or none does. The guest is stopped. */
gboolean machine_layer(Machine *machine, const char *const *paths, GError **error);
/* Writes memory and devices to fd (a pipe that somebody else reads), and closes it; the guest is stopped. */
gboolean machine_save(Machine *machine, int fd, GError **error);
/* Reads them back, into a machine that was started with `incoming`; it stays stopped. fd is closed. */
gboolean machine_load(Machine *machine, int fd, GError **error);

/* The board: QEMU's command line for a machine. The guest sees the same devices in the same places whatever is behind
 * them, so that a state saved on one board goes on on another of the same fingerprint. */
#pragma once

#include "machine/machine.h"

#define BOARD_SHELL "shell" /* the character device behind MACHINE_SHELL_PORT */

/* The processor that emulation gives the guest: all that QEMU can emulate, but for what no program needs and each boot
 * pays for: "rep movsb", which is emulated byte by byte and which a kernel prefers where erms is told (without it, it
 * copies by words); five levels of page tables; checks of the kernel against itself; virtual machines in the machine.
 */
#define BOARD_EMULATED "max,erms=off,la57=off,smap=off,smep=off,umip=off,pku=off,mpx=off,svm=off"

#define BOARD_SEED "seed.iso" /* in the machine's folder, where there is a public key */

typedef struct {
    const char *console, *qmp, *shell; /* paths of sockets: QEMU connects to the console's, and listens on the others */
    const GArray *drives;   /* of MachineDrive: the files that QEMU opens: snapshots resolved, the seed added */
    const GArray *forwards; /* of BoardForward */
} BoardPlaces;

typedef struct {
    guint16 guest, host;
} BoardForward;

/* The arguments, NULL-terminated; writes the files that they name (NoCloud seed, firmware's variables) to
 * options->folder. Free with g_ptr_array_unref; NULL on failure. */
GPtrArray *board_arguments(const MachineOptions *options, const BoardPlaces *places, GError **error);

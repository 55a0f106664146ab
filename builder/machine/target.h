/* Targets: the architectures of guests that a machine can have, each with the QEMU and the board that it needs. */
#pragma once

#include <glib.h>

typedef struct {
    const char *architecture; /* as images say it: "amd64" */
    const char *qemu;         /* the program */
    const char *package;      /* that has it, on Debian */
    const char *board;        /* QEMU's -machine */
    const char *emulated;     /* the processor that emulation gives the guest */
    gboolean pc;              /* it starts by BIOS unless it is asked for UEFI, and has what PCs have besides PCI */
} MachineTarget;

/* NULL: amd64. NOT_FOUND, which names the targets: there is no machine of that architecture; and that its QEMU is not
 * installed here. */
const MachineTarget *target_find(const char *architecture, GError **error);
/* Whether this host's processor runs it, so that KVM may. */
gboolean target_is_host(const MachineTarget *target);

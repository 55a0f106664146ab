/* A virtual machine: QEMU over QMP, on its drives, with user networking, its console in a log.
 *
 * Invariant: QEMU never outlives its Machine, nor this process (PR_SET_PDEATHSIG). Everything waits on events: QMP, the
 * process's end, Ctrl-C. Host ports are taken free. Root in the guest is reached by ssh with an authorized key that the
 * guest gets from outside: as a systemd credential by SMBIOS (tmpfiles.extra) and as a NoCloud seed, whichever it
 * knows. A virtio-serial port leads to a unix socket of the host: what runs on it in the guest outlives a saved state,
 * which no network connection does. One Machine belongs to one thread. */
#pragma once

#include "base/json.h"

#include "machine/drive.h"

#define MACHINE_QEMU "qemu-system-x86_64"
#define MACHINE_SHELL_PORT "org.ingot.shell"  /* the port's name, in /dev/virtio-ports of a Linux guest */
#define MACHINE_VARIABLES "uefi-variables.fd" /* in the machine's folder, where its firmware is UEFI */

typedef enum { MACHINE_TCG, MACHINE_KVM } MachineAccel;

/* What really works here: see accel.c. name: "kvm", "tcg", or NULL/"auto". *why (may be NULL) says how that was found
 * out; free it. Proved once per boot and QEMU, remembered in cache (NULL: proved each time). */
gboolean machine_accel(const char *name, const char *cache, MachineAccel *accel, char **why, GError **error);
/* The same for a guest of that architecture (target.h): what this host's processor does not run is emulated, and "kvm"
 * is INVALID for it. NOT_FOUND: there is no machine for it here. */
gboolean machine_accel_of(const char *architecture, const char *name, const char *cache, MachineAccel *accel,
                          GError **error);

typedef struct {
    const char *architecture;   /* of the guest (target.h); NULL: amd64 */
    const MachineDrive *drives; /* the first one is booted from */
    guint drive_count;
    guint cpus;
    guint64 memory; /* bytes */
    gboolean uefi;  /* where the target has BIOS as well */
    MachineAccel accel;
    const char *folder;     /* for sockets, console.log, firmware variables; must exist */
    const char *public_key; /* OpenSSH line to let root in with; NULL: none */
    const char *hostname;   /* for the NoCloud seed */
    const guint16 *ports;   /* guest TCP ports to forward besides 22; 0-terminated; may be NULL */
    gboolean ends;          /* QEMU ends where the guest would restart itself: a build boots it again */
    gboolean incoming;      /* stand still until a saved state is loaded: see state.h */
} MachineOptions;

typedef struct Machine Machine;
Machine *machine_start(const MachineOptions *options, GError **error);
void machine_free(Machine *machine); /* ends QEMU at once if it still runs */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

/* The port of 127.0.0.1 that leads to the guest's; 0 if it is not forwarded. */
guint16 machine_port(const Machine *machine, guint16 guest_port);
const char *machine_shell(const Machine *machine); /* path of the socket behind MACHINE_SHELL_PORT */
/* Whether somebody in the guest has the port open. */
gboolean machine_shell_open(Machine *machine);
const char *machine_console(const Machine *machine); /* path of the console's log: see console.h */
/* The console's last lines, without what a terminal would act on; free it. */
char *machine_console_tail(Machine *machine, guint lines);
/* FALSE with an error once the machine does not go on by itself: QEMU has ended, or the guest's kernel has panicked,
 * it has halted, its disk cannot be written (NO_SPACE where the host's is full), the processor stopped, …; with the
 * console's tail. A
 * machine that machine_stop has stopped, or that waits for its saved state, is alive. */
gboolean machine_alive(Machine *machine, GError **error);

/* One QMP command; arguments are stolen, may be NULL. Returns "return"'s value. */
json_t *machine_qmp(Machine *machine, const char *command, json_t *arguments, GError **error);
/* The power key: a guest that heeds it begins to shut down. */
gboolean machine_press_power(Machine *machine, GError **error);
/* Waits until the machine has ended by itself, at most `seconds` (0: for ever). TRUE with *ended FALSE: it still runs.
 * FALSE: it will not end any more (see machine_alive), QEMU has crashed, or a signal has come. */
gboolean machine_wait(Machine *machine, guint seconds, gboolean *ended, GError **error);
/* Whether machine_alive or machine_wait has found that it halted itself, as by `shutdown -H`: nothing wakes it. */
gboolean machine_has_halted(const Machine *machine);
/* Flushes the disk and ends QEMU at once (the guest gets no warning). */
gboolean machine_quit(Machine *machine, GError **error);

/* The session inside a machine: one long-lived root shell, through which commands and files all pass.
 *
 * A guest is a channel (a virtio-serial port, an ssh connection, a socket: guestchannel.h) times a system (linux.c):
 * what carries the bytes, and what is said. The port is preferred, since under emulation an ssh login costs 2 s and a
 * channel 1 s more, while a command on the port takes 30 ms; and since a shell on the port goes on when a saved machine
 * does. Everything has a limit in time. One Guest belongs to one thread. */
#pragma once

#include "machine/machine.h"

/* The comment of every build's public key, which no person's key has: .invalid is nobody's domain (RFC 2606). A resumed
 * machine's line of an earlier build, and what the seal removes, are told by it. */
#define GUEST_KEY_COMMENT "build@ingot.invalid"

/* A key pair made for one build: ed25519, the private half in a file of mode 0600. */
typedef struct {
    char *private_path;
    char *public_line; /* "ssh-ed25519 AAAA… build@ingot.invalid" */
} GuestKey;
GuestKey *guest_key_new(const char *folder, GError **error);
void guest_key_free(GuestKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestKey, guest_key_free)

/* The way into a machine that nobody has been in yet. A shell that answers on the machine's port (guest_port_script)
 * needs none of it. */
typedef struct {
    const GuestKey *key;  /* lets root in by ssh where there is no user; may be NULL */
    const char *user;     /* NULL: root */
    const char *password; /* of the user, for ssh and sudo; may be NULL */
    const char *key_path; /* the user's private key; may be NULL */
    gboolean sudo;        /* the user becomes root by sudo */
} GuestEntry;

typedef struct Guest Guest;
/* Waits until a shell answers on the port or ssh lets us in, at most `seconds`; ends early when the machine ends. */
Guest *guest_connect(Machine *machine, const GuestEntry *entry, guint seconds, GError **error);
/* Waits until the guest's boot is done, at most `seconds`; *booted tells. A guest without systemd counts as booted; one
 * that has come up in emergency mode is an error. */
gboolean guest_wait_booted(Guest *guest, guint seconds, gboolean *booted, GError **error);
/* The same shell again, in a machine whose saved state is being loaded: no login. Call it before the machine goes on.
 */
Guest *guest_reconnect(Machine *machine, GError **error);
/* Whether guest_reconnect will find it once the machine's state has been saved. */
gboolean guest_survives(const Guest *guest);
/* Whether the way in was tried with the entry's password, which may be in the machine's memory since. */
gboolean guest_saw_password(const Guest *guest);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

/* FALSE with an error: the guest's other side has ended, or the user wants no more. */
typedef gboolean (*GuestAliveFunc)(gpointer user, GError **error);
typedef struct {
    int fd;               /* of a connected socket behind which a shell runs guest_loop(); the guest's from now on */
    const char *place;    /* NULL: GUEST_PLACE. The folder in the guest for scripts and notes */
    guint stall_seconds;  /* 0: GUEST_STALL_SECONDS */
    GuestAliveFunc alive; /* may be NULL */
    gpointer user_data;
} GuestStream;
/* A guest that is not a machine of ours: an appliance, or a shell of a test. */
Guest *guest_new_on_stream(const GuestStream *stream, GError **error);
#define GUEST_PORT MACHINE_SHELL_PORT /* the name of the port that the scripts above look for */
#define GUEST_PLACE "/run/ingot"
#define GUEST_STALL_SECONDS 300u
/* A /bin/sh script for a guest's service: waits for the machine's port and runs a session's shell on it. */
const char *guest_port_script(void);
/* The same without waiting, for a root that is not the running system's; it ends when the host lets go of the port. */
const char *guest_appliance_script(void);
/* What the shell of a session runs: it takes its commands from stdin and answers on stdout. */
const char *guest_loop(void);

/* --- commands --- */

typedef void (*GuestLineFunc)(const char *line, gpointer user); /* without its newline */

typedef struct {
    const char *script;             /* its bytes; run by /bin/sh -e, or by its #! line */
    gsize script_size;              /* 0: strlen */
    const char *const *environment; /* "K=V", NULL-terminated, may be NULL */
    const char *user;               /* NULL: root */
    const char *workdir;            /* NULL: the user's home */
    guint seconds;                  /* 0: GUEST_SECONDS; past it the script's process group is killed */
    GuestLineFunc line;             /* each line of its stdout and stderr as it comes; may be NULL */
    gpointer user_data;
    GError **refused; /* where `line` sets an error, that ends the command and the session; may be NULL */
} GuestCommand;
#define GUEST_SECONDS 300u
/* Runs a script as a step does. *status is the script's exit status (128 + signal as in a shell). FALSE where the
 * session failed, the limit was reached, or the script could not be started (no such user or folder, a program that is
 * missing); after the last two the session is usable.
 *
 * Its environment is a login's: PATH, HOME, USER, LOGNAME, SHELL, then what /etc/default/locale and /etc/environment
 * say now, then the command's own. What it leaves running is not ended, and its further output is not seen. */
gboolean guest_run(Guest *guest, const GuestCommand *command, int *status, GError **error);
/* Runs a short root script of Ingot's own within a minute, in the session's shell: without a process for it, and
 * without a login's environment. *output (may be NULL) gets its stdout and stderr, at most 4 MiB; a status other than
 * 0 is an error. Nothing that it starts may stay in the background with its output. */
gboolean guest_script(Guest *guest, const char *script, char **output, GError **error);

/* --- the whole machine --- */

typedef enum {
    GUEST_SYNC,      /* what was written is on the disk */
    GUEST_FREEZE,    /* and no file system needs recovery when the machine is ended at once */
    GUEST_SHUT_DOWN, /* the machine has been asked to power off, services are being stopped */
} GuestSettle;
/* *settled FALSE: this guest can't be settled so, and nothing has changed (a file system that is not clean when frozen,
 * or no program for it). The last one does not wait for the machine's end. */
gboolean guest_settle(Guest *guest, GuestSettle how, gboolean *settled, GError **error);
/* Makes a resumed machine other than its twins: its clock, its random numbers, the build's key (NULL: none). An error
 * where that fails: such a machine must not go on. away: seconds since its state was saved. Where that is long, its
 * timers are stopped first, so that the jump of the clock does not start all that would have run meanwhile. *stopping:
 * it is to go down at a set time. (One that was on its way down when its state was saved has no state: see
 * guest_is_stopping.) */
gboolean guest_adopt(Guest *guest, const GuestKey *key, guint64 away, gboolean *stopping, GError **error);
/* Stops its timers until it boots again; a guest without systemd has none that are known. */
gboolean guest_hold_timers(Guest *guest, GError **error);
/* Whether the machine is on its way down (*due 0), or will be in *due seconds, as `shutdown -r +5` asks for. */
gboolean guest_is_stopping(Guest *guest, gboolean *stopping, guint64 *due, GError **error);

/* --- files --- */

/* Runs a root script with size bytes of fd (from its beginning) as its stdin; name is for messages. What the script
 * does not read is dropped; a status other than 0 is an error, with what the script printed. */
gboolean guest_put(Guest *guest, const char *script, int fd, guint64 size, const char *name, GError **error);
/* A folder's content goes into the folder `to`; a file becomes the file `to`, or lies in it where it ends in '/'.
 * Nothing is ever written outside of `to`, whatever the guest sends (extract.h); what is left out is said by line,
 * which may be NULL. written (may be NULL) gets the path of each file and link of this host that has come. */
gboolean guest_download(Guest *guest, const char *from, const char *to, GPtrArray *written, GuestLineFunc line,
                        gpointer user, GError **error);

/* The session inside a machine: one long-lived root shell, through which commands and files all pass.
 *
 * It is entered once by ssh (libssh) and then moved to the machine's virtio-serial port, since under emulation a login
 * costs 2 s and a channel 1 s more, while a command on the port takes 30 ms and 64 MB take 1 s (scp: 4 s); and since a
 * shell on the port goes on when a saved machine does. A guest without such a port keeps the ssh connection. One Guest
 * belongs to one thread. */
#pragma once

#include "machine/machine.h"

#define GUEST_KEY_COMMENT "ingot-build" /* of the public line: what the seal looks for */

/* A key pair made for one build: ed25519, the private half in a file of mode 0600. */
typedef struct {
    char *private_path;
    char *public_line; /* "ssh-ed25519 AAAA… ingot-build" */
} GuestKey;
GuestKey *guest_key_new(const char *folder, GError **error);
void guest_key_free(GuestKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestKey, guest_key_free)

typedef struct Guest Guest;
/* Waits until root can log in, at most `seconds`; ends early when the machine ends. */
Guest *guest_connect(Machine *machine, const GuestKey *key, guint seconds, GError **error);
/* The same shell again, in a machine whose saved state is being loaded: no login. Call it before the machine goes on.
 */
Guest *guest_reconnect(Machine *machine, GError **error);
/* Whether guest_reconnect will find it once the machine's state has been saved. */
gboolean guest_survives(const Guest *guest);
/* Freezes every file system, so that the disk is whole when the machine is ended at once. *frozen FALSE: not all of
 * them are of a kind that is clean then; nothing is frozen, and a shutdown is needed. */
gboolean guest_freeze(Guest *guest, gboolean *frozen, GError **error);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

typedef void (*GuestLineFunc)(const char *line, gpointer user); /* without its newline */

typedef struct {
    const char *script;             /* its bytes; run by /bin/sh, or by its #! line */
    gsize script_size;              /* 0: strlen */
    const char *const *environment; /* "K=V", NULL-terminated, may be NULL */
    const char *user;               /* NULL: root */
    const char *workdir;            /* NULL: the user's home */
    guint seconds;                  /* 0: no limit; past it the script's process group is killed */
    GuestLineFunc line;             /* each line of its stdout and stderr as it comes; may be NULL */
    gpointer user_data;
} GuestCommand;
/* *status is the script's exit status (128 + signal as in a shell). FALSE only if the session failed or timed out. */
gboolean guest_run(Guest *guest, const GuestCommand *command, int *status, GError **error);
/* Runs a short root script; *output (may be NULL) gets its stdout and stderr; a status other than 0 is an error. */
gboolean guest_script(Guest *guest, const char *script, char **output, GError **error);

/* A file or a tree. mode -1: as the source's; owner NULL ("root:root") or "user:group". An upload of a tree puts its
 * *content* into the folder `to`; a file goes to the path `to`, or into it where it ends in '/'. */
gboolean guest_upload(Guest *guest, const char *from, const char *to, int mode, const char *owner, GError **error);
gboolean guest_download(Guest *guest, const char *from, const char *to, GError **error);
/* A tree's content as a tar in an unnamed file, all of it root's; -1 on failure. Close it. */
int guest_make_tar(const char *from, GError **error);

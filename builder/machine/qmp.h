/* QMP: QEMU's JSON protocol over a unix socket (docs/interop/qmp-spec.txt of QEMU). Events are kept aside.
 *
 * A command has a limit, after which QEMU counts as hung; an event may come at any time, or never. Every wait ends at
 * once when QEMU closes the socket and when a signal (Ctrl-C) comes. Each command has a number, so that the answer to
 * one that was given up is not taken for the next one's. */
#pragma once

#include <gio/gio.h>

#include "base/json.h"

typedef struct Qmp Qmp;

/* Connects to the socket as soon as it listens, while alive says so, and negotiates. */
typedef gboolean (*QmpAlive)(gpointer user, GError **error);
Qmp *qmp_connect(const char *path, QmpAlive alive, gpointer user, GError **error);
void qmp_free(Qmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Qmp, qmp_free)

/* How long a command may go without an answer, in milliseconds; five minutes if nothing is set. */
void qmp_set_limit(Qmp *qmp, guint milliseconds);
/* QEMU has closed the socket: it has ended, or is about to. */
gboolean qmp_closed(const Qmp *qmp);

/* Sends a command and waits for its answer; arguments are stolen, may be NULL. */
json_t *qmp_command(Qmp *qmp, const char *command, json_t *arguments, GError **error);
/* The same with a descriptor beside it, as getfd takes it; it stays the caller's. */
json_t *qmp_command_fd(Qmp *qmp, const char *command, json_t *arguments, int fd, GError **error);
/* The next event of that name, waited for without a limit; those of other names that came before it are dropped. */
json_t *qmp_event(Qmp *qmp, const char *name, GError **error);

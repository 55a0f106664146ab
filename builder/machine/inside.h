/* The inside of Machine, which its files share: machine.c starts and ends it, condition.c knows how it is, state.c
 * saves and loads it. */
#pragma once

#include <gio/gio.h>

#include "base/file.h"
#include "machine/console.h"
#include "machine/machine.h"
#include "machine/qmp.h"

struct Machine {
    char *folder, *log, *socket, *shell; /* log: what QEMU says */
    char *sockets; /* the folder, as the sockets in it have to name it, and what keeps that good: */
    IngotFd sockets_fd;
    GSubprocess *qemu;
    Qmp *qmp; /* NULL until it answers */
    Console *console;
    GArray *forwards; /* of BoardForward */
    GPtrArray *tops;  /* of each disk, in order: the node of QEMU's block graph that is written to */
    guint layers;     /* that it has been given while it ran */
    gboolean stopped; /* by us: it stands still until machine_continue */
    gboolean still;   /* its processors were halted when they were looked at last, */
    gint64 looked;    /* at that time (monotonic), */
    gboolean halted;  /* and so they were before: it has halted for ever */
};

/* QMP as machine_qmp has it; where the connection ends in between, the error says why QEMU ended. */
json_t *machine_qmp_fd(Machine *machine, const char *command, json_t *arguments, int fd, GError **error);
json_t *machine_event(Machine *machine, const char *name, GError **error);
/* Whether it has halted itself: see halted.c. Looks once a second at most, and knows by the second look. */
gboolean machine_look_halted(Machine *machine);
/* Whether QEMU's process is there. */
gboolean machine_running(Machine *machine);

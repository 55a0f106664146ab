/* The inside of a guest session that the files of this room share: the one shell, and the stream that leads to it. */
#pragma once

#include <libssh/libssh.h>

#include "guest/guest.h"

struct Guest {
    Machine *machine;
    int port;            /* the socket of the machine's port; -1: the shell is reached by ssh */
    ssh_session session; /* NULL with a port */
    ssh_channel shell;
    GString *input; /* what has come from the shell and is not used yet */
    guint number;   /* of the next command */
};

/* Sends all of data to the shell. */
gboolean session_send(Guest *guest, const void *data, gsize size, GError **error);
/* Waits for more bytes from the shell, at most until the time (monotonic, microseconds; 0: for ever). FALSE without an
 * error: the time has come. FALSE with an error: the session, the machine or the user has ended it. */
gboolean session_receive(Guest *guest, gint64 until, GError **error);

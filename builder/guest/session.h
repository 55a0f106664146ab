/* The inside of a guest session that the files of this room share: the connection and the one shell in it. */
#pragma once

#include <libssh/libssh.h>

#include "guest/guest.h"

struct Guest {
    Machine *machine;
    ssh_session session;
    ssh_channel shell; /* /bin/sh, as root, reading commands */
    GString *input;    /* what has come from it and is not used yet */
    guint number;      /* of the next command */
};

gboolean session_failed(const Guest *guest, const char *what, GError **error);
/* Sends all of data to a channel: the shell, or another one of the session. */
gboolean session_send(Guest *guest, ssh_channel channel, const void *data, gsize size, GError **error);
/* Waits for more bytes from the shell, at most until the time (monotonic, microseconds; 0: for ever). FALSE without an
 * error: the time has come. FALSE with an error: the session, the machine or the user has ended it. */
gboolean session_receive(Guest *guest, gint64 until, GError **error);

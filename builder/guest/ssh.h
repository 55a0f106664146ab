/* The way in by ssh, with the build's key: how a machine is entered that nobody has been in yet. */
#pragma once

#include "guest/session.h"

/* Whether an ssh server greets at the port of 127.0.0.1; waits two seconds at most. */
gboolean ssh_server_answers(guint16 port);
/* Logs in as root and sets guest->session. */
gboolean ssh_log_in(Guest *guest, const GuestKey *key, GError **error);
/* A command with a channel of its own; NULL on failure, free it. */
ssh_channel ssh_command(Guest *guest, const char *command, GError **error);
void ssh_drop(Guest *guest); /* shell and session */

/* Both as session.h has it. */
gboolean ssh_send(Guest *guest, const void *data, gsize size, GError **error);
/* One read: *count bytes, 0 where none came within the time. */
gboolean ssh_receive(Guest *guest, void *buffer, guint size, int milliseconds, gsize *count, GError **error);

/* The way in by ssh: how a machine is entered that has no shell on its port. */
#pragma once

#include <libssh/libssh.h>

#include "guest/guest.h"
#include "guest/guestchannel.h"

/* Whether an ssh server greets at the port of 127.0.0.1; waits two seconds at most. */
gboolean ssh_server_answers(guint16 port);

/* A login that is root's, or can become root. */
typedef struct SshLogin SshLogin;
/* By ssh to the port of 127.0.0.1. */
SshLogin *ssh_log_in(guint16 port, const GuestEntry *entry, GError **error);
void ssh_login_free(SshLogin *login);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SshLogin, ssh_login_free)
/* Runs a /bin/sh script as root and gives its exit status (-1: a signal has ended it). One that has not ended after
 * `seconds`, whatever it prints meanwhile, is an error. */
gboolean ssh_run(SshLogin *login, const char *script, guint seconds, int *status, GError **error);
/* A channel to a script that goes on: it takes over the login, also when it fails. */
GuestChannel *guest_channel_new_ssh(SshLogin *login, const char *script, GError **error);

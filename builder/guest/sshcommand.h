/* The ssh program's command for root's login to a machine: what Ingot runs, and what it prints for people to run.
 *
 * It depends on nothing of the user's: neither the agent's keys (a server closes the door after six that it does not
 * know), nor a configuration file, nor known hosts. It asks nothing, and ssh's own errors are seen. */
#pragma once

#include "guest/guest.h"

/* Free it with g_ptr_array_unref. command: words that arrive in the machine as these very words; NULL or empty: a
 * session on the terminal. Ends with a NULL. */
GPtrArray *sshcommand_words(const GuestKey *key, guint16 port, const char *const *command);
/* The same without a command as a line for a shell. Free it. */
char *sshcommand_line(const GuestKey *key, guint16 port);
#define SSHCOMMAND_TRY_SECONDS 30u
/* Whether root gets in now; the error says why not, on one line. */
gboolean sshcommand_try(const Machine *machine, const GuestKey *key, guint seconds, GError **error);
/* Waits until the command gets in, at most `seconds`. A try that hangs (a server that does not answer, a login shell
 * that waits for something) is ended after try_seconds, and another is made. */
gboolean sshcommand_wait(Machine *machine, const GuestKey *key, guint seconds, guint try_seconds, GError **error);

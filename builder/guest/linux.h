/* The inside of the Linux guest: what its files share. The shell's functions are in linux.c. */
#pragma once

#include "guest/session.h"

/* Sends one of the shell's functions (with its further words), a text for it, and the text's end. */
gboolean linux_call(Guest *guest, const char *function, const char *words, const SessionWord *word, const char *text,
                    GError **error);
/* A short script in the session's shell whose output goes to the sink. *status is its exit status. */
gboolean linux_exchange(Guest *guest, const char *script, guint64 seconds, SessionSink sink, gpointer user, int *status,
                        GError **error);
/* The same for as long as output comes: it may not pause for the guest's stall_seconds. */
gboolean linux_stream(Guest *guest, const char *script, SessionSink sink, gpointer user, int *status, GError **error);
/* Sends size bytes of fd from its beginning. */
gboolean linux_send_file(Guest *guest, int fd, guint64 size, const char *name, GError **error);

/* For a login: what starts a session's shell on the machine's port (or ends with one of the statuses), and what becomes
 * such a shell itself. */
/* A script: no timer starts anything until the machine boots again. */
#define LINUX_STOP_TIMERS "[ ! -d /run/systemd/system ] || systemctl stop '*.timer' >/dev/null 2>&1 || :\n"
#define LINUX_NO_PORT 3
#define LINUX_NOT_ROOT 4
const char *linux_start_script(void);
const char *linux_shell_command(void);

/* A script that asks whether the machine is to go down later, which starts no program, and what its answer says: as
 * guest_is_stopping. */
char *linux_scheduled_script(const Guest *guest);
gboolean linux_read_going_down(const char *answer, gboolean *stopping, guint64 *due, GError **error);

/* Rows of the table of guest_linux, each in a file of its own. */
gboolean linux_run(Guest *guest, const GuestCommand *command, int *status, GError **error);
gboolean linux_get(Guest *guest, const char *from, const char *to, GPtrArray *written, GuestLineFunc line,
                   gpointer user, GError **error);
gboolean linux_settle(Guest *guest, GuestSettle how, gboolean *settled, GError **error);
gboolean linux_adopt(Guest *guest, const GuestKey *key, guint64 away, gboolean *stopping, GError **error);

/* The machine's serial console: what the guest prints there, in a log that cannot fill the disk.
 *
 * QEMU connects to a socket that a thread reads, so that the very first line is there. console.log takes CONSOLE_MAX
 * bytes; then it becomes console.log.1, in place of an older one, and a new one begins. A guest that prints without end
 * costs twice that, and nothing is held back by a reader that is slow, or by a full disk. */
#pragma once

#include <glib.h>

#define CONSOLE_MAX (8u << 20) /* bytes */

typedef struct Console Console;
/* Keeps the log in the folder, listens there by the name that the folder has for sockets (base/sockets.h), and starts
 * the thread. */
Console *console_new(const char *folder, const char *sockets, GError **error);
void console_free(Console *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Console, console_free)

const char *console_socket(const Console *console); /* where QEMU connects to */
const char *console_log(const Console *console);    /* path of the log */
/* The log's last lines as plain text: see ingot_text_clean. Where QEMU has ended, all that it sent is in it. Free it.
 */
char *console_tail(Console *console, gboolean ended, guint lines);

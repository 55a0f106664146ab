/* Paths of Unix sockets: an address has room for 107 bytes, a folder's path may be longer.
 *
 * Then the folder is named by a descriptor that is open on it: "/proc/PID/fd/N". This process and its children reach it
 * by that, for as long as the descriptor is open. */
#pragma once

#include <glib.h>
#include <sys/un.h>

#define SOCKETS_NAME_MAX 32u /* bytes of a socket's name in its folder */

/* What to call the folder in the paths of its sockets; free it. *fd receives the descriptor to close when they are used
 * no more; -1: none is needed. */
char *sockets_folder(const char *folder, int *fd, GError **error);
/* The address of a socket with that path, which has to fit (else INVALID). */
gboolean sockets_address(const char *path, struct sockaddr_un *address, GError **error);

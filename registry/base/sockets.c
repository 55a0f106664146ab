#include "base/sockets.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ingot/error.h>

#include "base/file.h"

char *sockets_folder(const char *folder, int *fd, GError **error)
{
    *fd = -1;
    if (strlen(folder) + strlen("/") + SOCKETS_NAME_MAX < sizeof((struct sockaddr_un *)NULL)->sun_path)
        return g_strdup(folder);
    *fd = ingot_file_open(folder, O_PATH | O_DIRECTORY, 0, error);
    return *fd < 0 ? NULL : g_strdup_printf("/proc/%d/fd/%d", (int)getpid(), *fd);
}

gboolean sockets_address(const char *path, struct sockaddr_un *address, GError **error)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (g_strlcpy(address->sun_path, path, sizeof address->sun_path) < sizeof address->sun_path)
        return TRUE;
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: too long a path for a socket", path);
    return FALSE;
}

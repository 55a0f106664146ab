#include "server/cli/owner.h"

#include <errno.h>
#include <ingot/error.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* To leave user 0 for files takes from the effective capabilities those on files: what is permitted comes back. Without
 * them the folder may be out of reach (/var/lib/private is root's alone). */
static gboolean keep_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    if (syscall(SYS_capget, &header, data) != 0) {
        return FALSE;
    }
    for (guint i = 0; i < G_N_ELEMENTS(data); i++) {
        data[i].effective = data[i].permitted;
    }
    return syscall(SYS_capset, &header, data) == 0;
}

gboolean owner_assume(const char *folder, GError **error)
{
    struct stat st;
    if (geteuid() != 0 || stat(folder, &st) != 0 || st.st_uid == 0) {
        return TRUE;
    }
    setfsgid(st.st_gid);
    setfsuid(st.st_uid);
    return keep_capabilities() || ingot_error_set_errno(error, errno, "%s: cannot work on it as its owner", folder);
}

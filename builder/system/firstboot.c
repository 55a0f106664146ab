#include "system/firstboot.h"

#include <sys/stat.h>

#define FILE_MODE (S_IFREG | 0644)
#define LINK_MODE (S_IFLNK | 0777)
#define UNITS "/etc/systemd/system/"
#define WANTS UNITS "multi-user.target.wants/"
#define LIBRARY "/usr/local/lib/"

/* The scripts, with a NUL behind each. */
__asm__(".pushsection .rodata\n"
        ".global firstboot_hostkeys_sh, firstboot_identities_sh\n"
        "firstboot_hostkeys_sh: .incbin \"builder/system/hostkeys.sh\"\n"
        ".byte 0\n"
        "firstboot_identities_sh: .incbin \"builder/system/identities.sh\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char firstboot_hostkeys_sh[], firstboot_identities_sh[];

/* Both units run between sysinit.target and basic.target. The default dependencies would order them behind
 * basic.target, and so behind every socket: a unit that is to come before one of these is then an ordering cycle, for
 * which systemd drops a job (systemd.unit(5), DefaultDependencies=). What these dependencies do otherwise is named. */
#define EARLY                                                                                                          \
    "DefaultDependencies=no\n"                                                                                         \
    "Requires=sysinit.target\n"                                                                                        \
    "After=sysinit.target\n"                                                                                           \
    "Conflicts=shutdown.target\n"                                                                                      \
    "Before=shutdown.target\n"

const FirstBootFile firstboot_host_keys[] = {
    {UNITS "ssh-host-keys.service", FILE_MODE,
     "[Unit]\n"
     "Description=Make this machine's SSH host keys\n" EARLY "Before=ssh.service ssh.socket sshd.service sshd.socket\n"
     "Before=dropbear.service dropbear.socket\n"
     "\n"
     "[Service]\n"
     "Type=oneshot\n"
     "ExecStart=/bin/sh " LIBRARY "ssh-host-keys.sh\n"
     "\n"
     "[Install]\n"
     "WantedBy=multi-user.target\n"},
    {LIBRARY "ssh-host-keys.sh", FILE_MODE, firstboot_hostkeys_sh},
    {WANTS "ssh-host-keys.service", LINK_MODE, "../ssh-host-keys.service"},
    {NULL, 0, NULL},
};

const FirstBootFile firstboot_identities[] = {
    {UNITS "machine-identities.service", FILE_MODE,
     "[Unit]\n"
     "Description=Make the identities that this machine does not have\n" EARLY
     "Before=basic.target iscsid.socket iscsid.service open-iscsi.service nvmf-autoconnect.service\n"
     "\n"
     "[Service]\n"
     "Type=oneshot\n"
     "ExecStart=/bin/sh " LIBRARY "machine-identities.sh\n"
     "\n"
     "[Install]\n"
     "WantedBy=multi-user.target\n"},
    {LIBRARY "machine-identities.sh", FILE_MODE, firstboot_identities_sh},
    {WANTS "machine-identities.service", LINK_MODE, "../machine-identities.service"},
    {NULL, 0, NULL},
};

gboolean firstboot_install(SystemTree *tree, const FirstBootFile *files, GError **error)
{
    gboolean systemd, there;
    if (!system_tree_exists(tree, "/etc/systemd/system", &systemd, error) ||
        !system_tree_exists(tree, files->path, &there, error)) {
        return FALSE;
    }
    if (!systemd || there) {
        return TRUE;
    }
    for (; files->path != NULL; files++) {
        gboolean ok = S_ISLNK(files->mode)
                          ? system_tree_link(tree, files->content, files->path, error)
                          : system_tree_write(tree, files->path, files->content, files->mode & 07777, error);
        if (!ok) {
            return FALSE;
        }
    }
    return TRUE;
}

/* *one: whether one of the paths is there. */
static gboolean firstboot_has_one(SystemTree *tree, const char *const *paths, gboolean *one, GError **error)
{
    *one = FALSE;
    for (; *paths != NULL && !*one; paths++) {
        if (!system_tree_exists(tree, *paths, one, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean firstboot_install_host_keys(SystemTree *tree, GError **error)
{
    static const char *const servers[] = {"/usr/sbin/sshd", "/usr/sbin/dropbear", NULL};
    /* Of Fedora and its kin, of Arch and of openSUSE. */
    static const char *const makers[] = {
        "/usr/lib/systemd/system/sshd-keygen.target", "/usr/lib/systemd/system/sshd-keygen.service",
        "/usr/lib/systemd/system/sshdgenkeys.service", "/usr/sbin/sshd-gen-keys-start", NULL};
    /* An earlier Ingot's, which is an ordering cycle where ssh is started by its socket. */
    static const char *const former[] = {WANTS "ingot-host-keys.service", UNITS "ingot-host-keys.service", NULL};
    gboolean server, maker;
    for (const char *const *path = former; *path != NULL; path++) {
        if (!system_tree_remove(tree, *path, error)) {
            return FALSE;
        }
    }
    if (!firstboot_has_one(tree, servers, &server, error) || !firstboot_has_one(tree, makers, &maker, error)) {
        return FALSE;
    }
    return !server || maker || firstboot_install(tree, firstboot_host_keys, error);
}

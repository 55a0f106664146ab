/* What is the same in every machine that Ingot bootstraps. */
#include <sys/stat.h>

#include "source/tree.h"
#include "system/firstboot.h"

#define FILE_MODE (S_IFREG | 0644)
#define LINK_MODE (S_IFLNK | 0777)
#define FOLDER_MODE (S_IFDIR | 0755)

static const TreeFile constants[] = {
    /* The host's traces. */
    {"etc/.resolv.conf.systemd-resolved.bak", 0, NULL},
    {"var/lib/dbus/machine-id", 0, NULL},
    {"var/lib/systemd/random-seed", 0, NULL},
    {"var/cache/ldconfig/aux-cache", 0, NULL},
    {"var/log/alternatives.log", 0, NULL},
    {"var/log/bootstrap.log", 0, NULL},
    {"var/log/dpkg.log", 0, NULL},
    {"var/log/apt/history.log", 0, NULL},
    {"var/log/apt/term.log", 0, NULL},
    {"var/log/apt/eipp.log.xz", 0, NULL},
    {"etc/apt/apt.conf.d/99mmdebstrap", 0, NULL}, /* with the host's proxies */
    /* Their owner tells whether the build host's apt could use its sandbox; apt makes them again. */
    {"var/cache/apt/archives/partial", 0, NULL},
    {"var/lib/apt/lists/partial", 0, NULL},
    /* Keys of the machine: made at its first boot. */
    {"etc/ssh/ssh_host_dsa_key", 0, NULL},
    {"etc/ssh/ssh_host_dsa_key.pub", 0, NULL},
    {"etc/ssh/ssh_host_ecdsa_key", 0, NULL},
    {"etc/ssh/ssh_host_ecdsa_key.pub", 0, NULL},
    {"etc/ssh/ssh_host_ed25519_key", 0, NULL},
    {"etc/ssh/ssh_host_ed25519_key.pub", 0, NULL},
    {"etc/ssh/ssh_host_rsa_key", 0, NULL},
    {"etc/ssh/ssh_host_rsa_key.pub", 0, NULL},
    /* Snapshots of LVM volumes are scrubbed by these; there is no LVM here and they delay every boot. */
    {"etc/systemd/system/multi-user.target.wants/e2scrub_reap.service", 0, NULL},
    {"etc/systemd/system/timers.target.wants/e2scrub_all.timer", 0, NULL},

    /* Empty, not missing: systemd then makes a new one at each image's first boot, without the rest of "first boot". */
    {"etc/machine-id", FILE_MODE, ""},
    {"etc/hostname", FILE_MODE, "ingot\n"},
    {"etc/hosts", FILE_MODE,
     "127.0.0.1\tlocalhost\n"
     "127.0.1.1\tingot\n"
     "::1\t\tlocalhost ip6-localhost ip6-loopback\n"},
    {"etc/default/locale", FILE_MODE, "LANG=C.UTF-8\n"},
    {"etc/locale.conf", LINK_MODE, "default/locale"},

    {"etc/systemd/network/80-ethernet.network", FILE_MODE,
     "[Match]\n"
     "Name=en* eth*\n"
     "\n"
     "[Network]\n"
     "DHCP=yes\n"
     "\n"
     "# An address by MAC: a copy of the machine with another machine-id gets the same lease.\n"
     "[DHCPv4]\n"
     "ClientIdentifier=mac\n"},
    {"etc/systemd/system/multi-user.target.wants/systemd-networkd.service", LINK_MODE,
     "/lib/systemd/system/systemd-networkd.service"},
    {"etc/systemd/system/sockets.target.wants/systemd-networkd.socket", LINK_MODE,
     "/lib/systemd/system/systemd-networkd.socket"},
    /* What waits for network-online.target gets a network: one card with an address is enough. */
    {"etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service", LINK_MODE,
     "/lib/systemd/system/systemd-networkd-wait-online.service"},
    {"etc/systemd/system/systemd-networkd-wait-online.service.d", FOLDER_MODE, NULL},
    {"etc/systemd/system/systemd-networkd-wait-online.service.d/50-any.conf", FILE_MODE,
     "[Service]\n"
     "ExecStart=\n"
     "ExecStart=/lib/systemd/systemd-networkd-wait-online --any\n"},
    {"etc/resolv.conf", LINK_MODE, "../run/systemd/resolve/stub-resolv.conf"},

    /* Answers to nobody's questions about names. */
    {"etc/systemd/resolved.conf.d/50-image.conf", FILE_MODE,
     "[Resolve]\n"
     "LLMNR=no\n"
     "MulticastDNS=no\n"},

    {"etc/ssh/sshd_config.d/50-image.conf", FILE_MODE,
     "HostKey /etc/ssh/ssh_host_ed25519_key\n"
     "HostKey /etc/ssh/ssh_host_ecdsa_key\n"
     "PermitRootLogin prohibit-password\n"
     "# A name server that is slow or absent must not delay a login.\n"
     "UseDNS no\n"},

    /* A larger disk than the image's: the root partition and its file system grow into it at boot. */
    {"etc/repart.d", FOLDER_MODE, NULL},
    {"etc/repart.d/50-root.conf", FILE_MODE,
     "[Partition]\n"
     "Type=root\n"},

    {"boot/efi", FOLDER_MODE, NULL},
    {"boot/grub", FOLDER_MODE, NULL},
};

/* GRUB's file stays as it is for ever: kernel packages keep /vmlinuz and /initrd.img, and those of the kernel before.
 */
static char *grub_config(const char *root_uuid)
{
    return g_strdup_printf("# Not generated: /vmlinuz and /initrd.img are kept by the kernel's packages.\n"
                           "if serial --unit=0 --speed=115200; then\n"
                           "    terminal_input console serial\n"
                           "    terminal_output console serial\n"
                           "fi\n"
                           "set default=0\n"
                           "set timeout=0\n"
                           "menuentry 'Linux' {\n"
                           "    linux /vmlinuz root=UUID=%s ro console=tty0 console=ttyS0,115200n8\n"
                           "    initrd /initrd.img\n"
                           "}\n"
                           "menuentry 'Linux, the kernel before' {\n"
                           "    linux /vmlinuz.old root=UUID=%s ro console=tty0 console=ttyS0,115200n8\n"
                           "    initrd /initrd.img.old\n"
                           "}\n",
                           root_uuid, root_uuid);
}

static char *file_systems(const TreeOptions *options)
{
    return g_strdup_printf(
        "UUID=%s / ext4 errors=remount-ro,x-systemd.growfs 0 1\n"
        "UUID=%s /boot/efi vfat umask=0077,noauto,x-systemd.automount,x-systemd.idle-timeout=60 0 0\n",
        options->root_uuid, options->esp_uuid);
}

static TreeFile *file_new(const char *path, guint mode, char *content)
{
    TreeFile *file = g_new0(TreeFile, 1);
    file->path = g_strdup(path);
    file->mode = mode;
    file->content = content;
    return file;
}

static void file_free(gpointer data)
{
    TreeFile *file = data;
    g_free(file->path);
    g_free(file->content);
    g_free(file);
}

GPtrArray *tree_settings(const TreeOptions *options)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(file_free);
    for (guint i = 0; i < G_N_ELEMENTS(constants); i++) {
        g_ptr_array_add(files, file_new(constants[i].path, constants[i].mode, g_strdup(constants[i].content)));
    }
    for (const FirstBootFile *file = firstboot_host_keys; file->path != NULL; file++) {
        g_ptr_array_add(files, file_new(file->path + 1, file->mode, g_strdup(file->content)));
    }
    g_ptr_array_add(files, file_new("etc/fstab", FILE_MODE, file_systems(options)));
    g_ptr_array_add(files, file_new("boot/grub/grub.cfg", FILE_MODE, grub_config(options->root_uuid)));
    g_ptr_array_add(files, file_new("etc/apt/sources.list", FILE_MODE, g_strdup(options->apt)));
    g_ptr_array_add(files, file_new("etc/apt/apt.conf.d/20image", FILE_MODE, g_strdup(options->apt_conf)));
    return files;
}

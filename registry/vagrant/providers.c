#include "vagrant/providers.h"

#include <string.h>

const VagrantForm vagrant_forms[VAGRANT_FORMS] = {{"libvirt", "vagrant-libvirt", "libvirt.box"},
                                                  {"qemu", "vagrant-qemu", "qemu.box"},
                                                  {"virtualbox", "vagrant-virtualbox", "virtualbox.box"},
                                                  {"vmware_desktop", "vagrant-vmware", "vmware_desktop.box"}};

/* One box does for all programs of VMware's. */
static const char *provider_plain(const char *provider)
{
    static const char *const vmware[] = {"vmware", "vmware_fusion", "vmware_workstation", NULL};
    return g_strv_contains(vmware, provider) ? "vmware_desktop" : provider;
}

const VagrantForm *vagrant_form_of(const char *provider)
{
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        if (strcmp(vagrant_forms[i].provider, provider_plain(provider)) == 0) {
            return &vagrant_forms[i];
        }
    }
    return NULL;
}

const VagrantForm *vagrant_form_of_format(const char *format)
{
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        if (strcmp(vagrant_forms[i].format, format) == 0) {
            return &vagrant_forms[i];
        }
    }
    return NULL;
}

const char *vagrant_architecture(const char *word)
{
    /* Vagrant's word first, then what others call it. */
    static const char *const words[][6] = {{"amd64", "x86_64", "x86-64", "x64"},
                                           {"i386", "386", "i486", "i586", "i686", "x86"},
                                           {"arm64", "aarch64", "armv8", "armv8l"},
                                           {"arm", "armhf", "armv6l", "armv7l", "armv7", "armel"},
                                           {"ppc64le", "ppc64el", "powerpc64le"},
                                           {"ppc64", "powerpc64"},
                                           {"mips64le", "mips64el"},
                                           {"mips64"},
                                           {"mipsle", "mipsel"},
                                           {"mips"},
                                           {"s390x"},
                                           {"riscv64"}};
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(words[i]) && words[i][j] != NULL; j++) {
            if (g_ascii_strcasecmp(word, words[i][j]) == 0) {
                return words[i][0];
            }
        }
    }
    return NULL;
}

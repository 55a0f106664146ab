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

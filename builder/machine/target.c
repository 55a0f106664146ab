#include "machine/target.h"

#include <ingot/error.h>
#include <string.h>
#include <sys/utsname.h>

#include "machine/board.h"

static const MachineTarget targets[] = {
    {"amd64", MACHINE_QEMU, "qemu-system-x86", "q35,smm=off", BOARD_EMULATED, TRUE},
    {"i386", MACHINE_QEMU, "qemu-system-x86", "q35,smm=off", BOARD_EMULATED, TRUE},
    /* Pointers of guests are signed by an algorithm that costs emulation nothing. */
    {"arm64", "qemu-system-aarch64", "qemu-system-arm", "virt", "max,pauth-impdef=on", FALSE},
};

static const MachineTarget *target_known(const char *architecture)
{
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        if (strcmp(targets[i].architecture, architecture) == 0) {
            return &targets[i];
        }
    }
    return NULL;
}

static char *list_targets(void)
{
    const char *names[G_N_ELEMENTS(targets) + 1] = {NULL};
    for (guint i = 0; i < G_N_ELEMENTS(targets); i++) {
        names[i] = targets[i].architecture;
    }
    return g_strjoinv(", ", (char **)names);
}

const MachineTarget *target_find(const char *architecture, GError **error)
{
    const MachineTarget *target = target_known(architecture == NULL ? "amd64" : architecture);
    g_autofree char *program = target == NULL ? NULL : g_find_program_in_path(target->qemu);
    if (target == NULL) {
        g_autofree char *list = list_targets();
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "no machine for the architecture %s: those of %s are there", architecture, list);
        return NULL;
    }
    if (program == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "%s, a machine for the architecture %s, is not installed here; on Debian: apt-get install %s",
                    target->qemu, target->architecture, target->package);
        return NULL;
    }
    return target;
}

gboolean target_is_host(const MachineTarget *target)
{
    static const struct {
        const char *machine, *first, *second; /* as the kernel has it, and what it runs */
    } hosts[] = {{"x86_64", "amd64", "i386"}, {"aarch64", "arm64", NULL}};
    struct utsname host;
    for (guint i = 0; uname(&host) == 0 && i < G_N_ELEMENTS(hosts); i++) {
        if (strcmp(host.machine, hosts[i].machine) == 0) {
            return strcmp(target->architecture, hosts[i].first) == 0 ||
                   g_strcmp0(target->architecture, hosts[i].second) == 0;
        }
    }
    return FALSE;
}

#include "guest/entry.h"

#include <ingot/error.h>

#include "base/process.h"
#include "guest/guest.h"
#include "system/tree.h"

#define SCRIPT "/etc/systemd/ingot-entry"
#define UNIT "/etc/systemd/system/ingot-entry.service"
#define WANTED "/etc/systemd/system/sysinit.target.wants/ingot-entry.service"

const char *const entry_files[] = {SCRIPT, UNIT, WANTED, NULL};

/* Nothing may restart it but systemd itself, as needrestart does with a service whose libraries are new: its steps
 * would be cut off. It is there from early in the boot until the last processes are killed, so that a step that reboots
 * the machine can still tell its status. What a step starts is part of this unit, and no limit of a service applies to
 * it. */
static const char unit[] = "[Unit]\n"
                           "Description=A shell for the host that this machine is built on\n"
                           "DefaultDependencies=no\n"
                           "After=local-fs.target\n"
                           "IgnoreOnIsolate=yes\n"
                           "RefuseManualStop=yes\n"
                           "StartLimitIntervalSec=0\n"
                           "\n"
                           "[Service]\n"
                           "ExecStart=/bin/sh " SCRIPT "\n"
                           "Restart=always\n"
                           "RestartSec=1\n"
                           "KillMode=process\n"
                           "OOMPolicy=continue\n"
                           "TasksMax=infinity\n"
                           "StandardInput=null\n"
                           "StandardOutput=null\n"
                           "StandardError=null\n";

/* FALSE with an error, or *found FALSE: another system's way is not known. */
static gboolean entry_find_systemd(SystemTree *tree, gboolean *found, GError **error)
{
    static const char *const programs[] = {"/lib/systemd/systemd", "/usr/lib/systemd/systemd"};
    *found = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(programs) && !*found; i++) {
        if (!system_tree_exists(tree, programs[i], found, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean entry_write(SystemTree *tree, GError **error)
{
    return system_tree_write(tree, SCRIPT, guest_port_script(), 0600, error) &&
           system_tree_write(tree, UNIT, unit, 0644, error) && system_tree_link(tree, UNIT, WANTED, error);
}

gboolean entry_place(const EntryDisk *disk, char **why_not, GError **error)
{
    /* The machine itself says what it has not mounted. */
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    SystemTreeOptions options = {
        .disk = disk->disk, .format = disk->format, .workdir = disk->workdir, .cache = disk->cache, .notes = notes};
    g_autoptr(GError) problem = NULL;
    g_autoptr(SystemTree) tree = system_tree_open(&options, &problem);
    gboolean systemd;
    *why_not = NULL;
    if (tree == NULL && (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE) || !ingot_interrupt_check(NULL))) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    if (tree == NULL) {
        /* Such a disk may still let somebody in by ssh. */
        *why_not = g_strdup(problem->message);
        return TRUE;
    }
    if (!entry_find_systemd(tree, &systemd, error)) {
        return FALSE;
    }
    if (!systemd) {
        *why_not = g_strdup("the system on the disk has no systemd");
    }
    return (!systemd || entry_write(tree, error)) && system_tree_close(tree, error);
}

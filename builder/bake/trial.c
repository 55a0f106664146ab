#include "bake/trial.h"

#include "base/file.h"

#include "cache/node.h"
#include "machine/overlay.h"
#include "walk/walk.h"

typedef struct {
    const TrialOptions *options;
    GPtrArray *paths;                          /* of the drives, which own the texts */
    MachineDrive drives[1 + RECIPE_DISKS_MAX]; /* the layer first */
    guint starts;
} Trial;

static void trial_add_drive(Trial *trial, char *path)
{
    trial->drives[trial->paths->len] = (MachineDrive){.path = path, .format = "qcow2"};
    g_ptr_array_add(trial->paths, path);
}

/* A throw-away layer over the sealed disk, with the entry on it, and new, empty further disks. */
static gboolean trial_make_drives(Trial *trial, GError **error)
{
    const TrialOptions *options = trial->options;
    RecipeMachine shape = recipe_machine(options->recipe);
    char *layer = g_build_filename(options->folder, "sealed.qcow2", NULL);
    trial_add_drive(trial, layer);
    if (!overlay_create(layer, options->disk, options->format, 0, error) ||
        !boot_place_entry(options->host, options->folder, layer, "qcow2", error)) {
        return FALSE;
    }
    for (guint i = 0; i < shape.disk_count; i++) {
        g_autofree char *name = g_strdup_printf(NODE_DISK_N, i + 1);
        char *path = g_build_filename(options->folder, name, NULL);
        trial_add_drive(trial, path);
        if (!overlay_empty(path, shape.disks[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* A BootStart. */
static Machine *trial_start(gpointer user, GError **error)
{
    Trial *trial = user;
    const TrialOptions *options = trial->options;
    g_autofree char *folder = g_strdup_printf("%s-%u", options->folder, trial->starts++);
    MachineOptions machine = walk_machine_options(options->recipe, options->host, options->key);
    machine.drives = trial->drives;
    machine.drive_count = trial->paths->len;
    machine.folder = folder;
    machine.ports = options->ports;
    return ingot_file_make_folder(folder, error) ? machine_start(&machine, error) : NULL;
}

gboolean trial_boot(const TrialOptions *options, Booted *booted, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    Trial trial = {.options = options, .paths = paths};
    return trial_make_drives(&trial, error) &&
           boot_machine(options->host, options->recipe, options->key, trial_start, &trial, booted, error);
}

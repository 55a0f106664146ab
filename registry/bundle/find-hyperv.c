#include <string.h>

#include "bundle/find.h"
#include "bundle/hyperv.h"
#include "bundle/refuse.h"

/* Where Hyper-V exports a machine to, what belongs to its checkpoints lies in a folder of their own. */
static gboolean is_in_snapshots(const ParcelMember *member)
{
    g_autofree char *lower = g_ascii_strdown(member->name, -1);
    return g_str_has_prefix(lower, "snapshots/") || strstr(lower, "/snapshots/") != NULL;
}

/* The file that a disk is written to from the moment of a checkpoint on: it stands on the disk as it was then. */
static gboolean is_checkpoint(const char *file)
{
    g_autofree char *lower = g_ascii_strdown(file, -1);
    return g_str_has_suffix(lower, ".avhd") || g_str_has_suffix(lower, ".avhdx");
}

static gboolean refuse_checkpoint(const Parcel *parcel, const char *file, GError **error)
{
    return bundle_refuse(parcel->name, error,
                         "the machine has checkpoints ('%.200s'), without which its disks are old: merge them "
                         "(Remove-VMCheckpoint) and export it again",
                         file);
}

static void add_outside(const GPtrArray *members, GPtrArray *files)
{
    for (guint i = 0; i < members->len; i++) {
        if (!is_in_snapshots(g_ptr_array_index(members, i))) {
            g_ptr_array_add(files, g_ptr_array_index(members, i));
        }
    }
}

static int compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const ParcelMember *const *)a)->name, (*(const ParcelMember *const *)b)->name);
}

/* The files with those suffixes, by name, but for those among the checkpoints. */
static GPtrArray *find_files(const Parcel *parcel, const char *suffix, const char *old)
{
    g_autoptr(GPtrArray) first = parcel_with_suffix(parcel, suffix), second = parcel_with_suffix(parcel, old);
    GPtrArray *files = g_ptr_array_new();
    add_outside(first, files);
    add_outside(second, files);
    g_ptr_array_sort(files, compare_names);
    return files;
}

/* The machine's description, where there is one that can be read; *machine stays NULL otherwise. */
static gboolean read_machine(const Parcel *parcel, Hyperv **machine, GError **error)
{
    g_autoptr(GPtrArray) texts = parcel_texts(parcel, ".xml");
    g_autofree char *list = parcel_list_members(texts);
    *machine = NULL;
    if (texts->len > 1) {
        return bundle_refuse(parcel->name, error, "it describes several machines (%s), an image is one", list);
    }
    if (texts->len == 0) {
        return TRUE;
    }
    const ParcelMember *text = g_ptr_array_index(texts, 0);
    g_autofree char *name = g_strdup_printf("%s: %s", parcel->name, text->name);
    *machine = hyperv_parse(text->text, text->text_size, name, error);
    return *machine != NULL;
}

/* The file that the machine calls so, of all that could be its disks. */
static const ParcelMember *need_disk(const Parcel *parcel, const GPtrArray *files, const char *wanted, GError **error)
{
    g_autoptr(GPtrArray) named = g_ptr_array_new();
    for (guint i = 0; i < files->len; i++) {
        const ParcelMember *file = g_ptr_array_index(files, i);
        g_autofree char *base = g_path_get_basename(file->name);
        if (g_ascii_strcasecmp(base, wanted) == 0) {
            g_ptr_array_add(named, (gpointer)file);
        }
    }
    if (named->len == 1) {
        return g_ptr_array_index(named, 0);
    }
    g_autofree char *list = parcel_list_members(named->len == 0 ? parcel->members : named);
    bundle_refuse(parcel->name, error, "the machine has the disk '%.200s', of which there is %s: it holds %s", wanted,
                  named->len == 0 ? "no file" : "more than one", list);
    return NULL;
}

/* The disks that the description names, in its order. The one file that is there is the one disk, whatever it is called
 * by now. */
static gboolean add_named(const Parcel *parcel, const Hyperv *machine, const GPtrArray *files, Found *found,
                          GError **error)
{
    gboolean alone = machine->disks->len == 1 && files->len == 1;
    g_autoptr(GHashTable) taken = g_hash_table_new(NULL, NULL);
    for (guint i = 0; i < machine->disks->len; i++) {
        const char *name = g_ptr_array_index(machine->disks, i);
        if (is_checkpoint(name)) {
            return refuse_checkpoint(parcel, name, error);
        }
        const ParcelMember *file = alone ? g_ptr_array_index(files, 0) : need_disk(parcel, files, name, error);
        if (file == NULL) {
            return FALSE;
        }
        found_add(found, file->name, file);
        g_hash_table_add(taken, (gpointer)file);
    }
    for (guint i = 0; i < files->len; i++) {
        const ParcelMember *file = g_ptr_array_index(files, i);
        if (!g_hash_table_contains(taken, file)) {
            g_ptr_array_add(found->notes, g_strdup_printf("%s: the disk '%.200s' is left out, since the machine has no "
                                                          "drive for it",
                                                          parcel->name, file->name));
        }
    }
    return TRUE;
}

/* Nothing tells which disks the machine has, and in which order. */
static gboolean add_all(const Parcel *parcel, const GPtrArray *files, Found *found, GError **error)
{
    g_autoptr(GPtrArray) checkpoints = find_files(parcel, ".avhdx", ".avhd");
    if (checkpoints->len > 0) {
        return refuse_checkpoint(parcel, ((const ParcelMember *)g_ptr_array_index(checkpoints, 0))->name, error);
    }
    for (guint i = 0; i < files->len; i++) {
        const ParcelMember *file = g_ptr_array_index(files, i);
        found_add(found, file->name, file);
    }
    if (files->len > 1) {
        g_autofree char *list = parcel_list_members(files);
        g_ptr_array_add(found->notes, g_strdup_printf("%s: nothing that can be read tells the order of the machine's "
                                                      "disks; they are taken by their names: %s",
                                                      parcel->name, list));
    }
    return TRUE;
}

gboolean find_in_hyperv(const Parcel *parcel, Found *found, GError **error)
{
    g_autoptr(Hyperv) machine = NULL;
    g_autoptr(GPtrArray) files = find_files(parcel, ".vhdx", ".vhd");
    if (!read_machine(parcel, &machine, error)) {
        return FALSE;
    }
    if (files->len == 0) {
        g_autofree char *list = parcel_list_members(parcel->members);
        return bundle_refuse(parcel->name, error, "a machine of Hyper-V's without a *.vhdx: it holds %s", list);
    }
    found->uefi = machine != NULL && machine->generation == 2;
    found->bios = machine != NULL && machine->generation == 1;
    return machine != NULL && machine->disks->len > 0 ? add_named(parcel, machine, files, found, error)
                                                      : add_all(parcel, files, found, error);
}

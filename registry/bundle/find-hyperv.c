#include <string.h>

#include "bundle/find.h"
#include "bundle/hyperv.h"
#include "bundle/refuse.h"

/* Where Hyper-V exports a machine to, its checkpoints lie in a folder of their own. */
static gboolean is_snapshot(const ParcelMember *member)
{
    g_autofree char *lower = g_ascii_strdown(member->name, -1);
    return g_str_has_prefix(lower, "snapshots/") || strstr(lower, "/snapshots/") != NULL ||
           g_str_has_suffix(lower, ".avhd") || g_str_has_suffix(lower, ".avhdx");
}

/* Its disks: the *.vhdx, or else the *.vhd. */
static GPtrArray *find_files(const Parcel *parcel)
{
    g_autoptr(GPtrArray) all = parcel_with_suffix(parcel, ".vhdx");
    GPtrArray *files = g_ptr_array_new();
    if (all->len == 0) {
        g_ptr_array_unref(all);
        all = parcel_with_suffix(parcel, ".vhd");
    }
    for (guint i = 0; i < all->len; i++) {
        if (!is_snapshot(g_ptr_array_index(all, i))) {
            g_ptr_array_add(files, g_ptr_array_index(all, i));
        }
    }
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

/* Where in the machine's order the file stands; those that it does not name come last. */
static guint place_of(const Hyperv *machine, const ParcelMember *member)
{
    g_autofree char *base = g_path_get_basename(member->name);
    for (guint i = 0; machine != NULL && i < machine->disks->len; i++) {
        if (g_ascii_strcasecmp(g_ptr_array_index(machine->disks, i), base) == 0) {
            return i;
        }
    }
    return G_MAXUINT;
}

static int compare_places(gconstpointer a, gconstpointer b, gpointer machine)
{
    const ParcelMember *first = *(const ParcelMember *const *)a, *second = *(const ParcelMember *const *)b;
    guint one = place_of(machine, first), other = place_of(machine, second);
    return one < other ? -1 : one > other ? 1 : strcmp(first->name, second->name);
}

gboolean find_in_hyperv(const Parcel *parcel, Found *found, GError **error)
{
    g_autoptr(Hyperv) machine = NULL;
    g_autoptr(GPtrArray) files = find_files(parcel);
    if (!read_machine(parcel, &machine, error)) {
        return FALSE;
    }
    if (files->len == 0) {
        g_autofree char *list = parcel_list_members(parcel->members);
        return bundle_refuse(parcel->name, error, "a machine of Hyper-V's without a *.vhdx: it holds %s", list);
    }
    g_ptr_array_sort_with_data(files, compare_places, machine);
    for (guint i = 0; i < files->len; i++) {
        const ParcelMember *file = g_ptr_array_index(files, i);
        found_add(found, file->name, file);
    }
    found->uefi = machine != NULL && machine->generation == 2;
    found->bios = machine != NULL && machine->generation == 1;
    return TRUE;
}

#include "appliance/mounts.h"

#include <errno.h>
#include <ingot/error.h>
#include <string.h>

#include "appliance/appliance.h"
#include "appliance/fstab.h"

#define FSTAB "/etc/fstab"
#define FSTAB_MAX (1 << 20)

typedef struct {
    guestfs_h *g;
    GPtrArray *entries; /* of FstabEntry */
    GPtrArray *left;    /* mount points that are left out (const char *) */
    GPtrArray *notes;
} Mounts;

static int by_length(gconstpointer a, gconstpointer b)
{
    return (int)strlen(*(char *const *)a) - (int)strlen(*(char *const *)b);
}

/* An encrypted device of the disk; NULL: none. Free it. */
static char *mounts_find_encrypted(guestfs_h *g)
{
    g_auto(GStrv) devices = guestfs_list_partitions(g);
    for (guint i = 0; devices != NULL && devices[i] != NULL; i++) {
        g_autofree char *type = guestfs_vfs_type(g, devices[i]);
        if (g_strcmp0(type, "crypto_LUKS") == 0) {
            return g_strdup(devices[i]);
        }
    }
    return NULL;
}

static char *mounts_encryption(guestfs_h *g)
{
    g_autofree char *device = mounts_find_encrypted(g);
    return device == NULL ? g_strdup("") : g_strdup_printf(" (%s is encrypted, and is not opened)", device);
}

static char *mounts_find_root(guestfs_h *g, GError **error)
{
    g_auto(GStrv) roots = guestfs_inspect_os(g);
    if (roots == NULL) {
        appliance_failed(g, "looking for the operating system", error);
        return NULL;
    }
    if (g_strv_length(roots) != 1) {
        g_autofree char *encryption = mounts_encryption(g);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%u operating systems on the disk, 1 expected%s",
                    g_strv_length(roots), encryption);
        return NULL;
    }
    return g_strdup(roots[0]);
}

/* Of FstabEntry; NULL on failure. */
static GPtrArray *mounts_read_fstab(guestfs_h *g, GError **error)
{
    int is_file = guestfs_is_file_opts(g, FSTAB, GUESTFS_IS_FILE_OPTS_FOLLOWSYMLINKS, 1, -1);
    gint64 size = is_file == 1 ? guestfs_filesize(g, FSTAB) : 0;
    g_autofree char *text = size > 0 && size <= FSTAB_MAX ? guestfs_cat(g, FSTAB) : NULL;
    if (is_file < 0 || size < 0 || (size > 0 && size <= FSTAB_MAX && text == NULL)) {
        appliance_failed(g, FSTAB, error);
        return NULL;
    }
    return fstab_parse(text == NULL ? "" : text);
}

static gboolean mounts_has_option(const Mounts *mounts, const char *point, const char *option)
{
    for (guint i = 0; i < mounts->entries->len; i++) {
        const FstabEntry *entry = g_ptr_array_index(mounts->entries, i);
        if (strcmp(entry->where, point) == 0 && fstab_has_option(entry, option)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean mounts_is_below_left(const Mounts *mounts, const char *point)
{
    for (guint i = 0; i < mounts->left->len; i++) {
        const char *left = g_ptr_array_index(mounts->left, i);
        if (g_str_has_prefix(point, left) && point[strlen(left)] == '/') {
            return TRUE;
        }
    }
    return FALSE;
}

#define NOT_THERE "is not there"

/* TRUE: point is left out. why: what is wrong with the device. One that need not be there is not missed. */
static gboolean mounts_leave(Mounts *mounts, const char *point, const char *device, const char *why, GError **error)
{
    g_autofree char *encryption = mounts_encryption(mounts->g);
    if (strcmp(point, "/usr") == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s %s%s: the system on the disk is not whole", point,
                    device, why, encryption);
        return FALSE;
    }
    g_ptr_array_add(mounts->left, (gpointer)point);
    if (strcmp(why, NOT_THERE) != 0 || !mounts_has_option(mounts, point, "noauto")) {
        g_ptr_array_add(mounts->notes,
                        g_strdup_printf("%s: %s %s%s: what it holds is left as it is", point, device, why, encryption));
    }
    return TRUE;
}

static gboolean mounts_mount_one(Mounts *mounts, const char *device, const char *point, GError **error)
{
    guestfs_h *g = mounts->g;
    if (mounts_is_below_left(mounts, point)) {
        return mounts_leave(mounts, point, device, "would be mounted below what is not there", error);
    }
    if (guestfs_mount(g, device, point) == 0) {
        return TRUE;
    }
    g_autoptr(GError) problem = NULL;
    appliance_failed(g, point, &problem);
    g_autofree char *type = guestfs_vfs_type(g, device);
    if (type == NULL && guestfs_last_errno(g) == ENOENT) {
        return mounts_leave(mounts, point, device, NOT_THERE, error);
    }
    if (mounts_has_option(mounts, point, "nofail") && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        return mounts_leave(mounts, point, device, "can't be mounted", error);
    }
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
}

/* The device of a partition that is told by its table's UUID or name, which libguestfs does not look up; NULL: it is
 * not there. Free it. */
static char *mounts_find_part(guestfs_h *g, const char *what)
{
    static const char *const tags[][2] = {{"PARTUUID=", "PART_ENTRY_UUID"}, {"PARTLABEL=", "PART_ENTRY_NAME"}};
    guint tag = 0;
    while (tag < G_N_ELEMENTS(tags) && !g_str_has_prefix(what, tags[tag][0])) {
        tag++;
    }
    g_auto(GStrv) devices = tag < G_N_ELEMENTS(tags) ? guestfs_list_partitions(g) : NULL;
    for (guint i = 0; devices != NULL && devices[i] != NULL; i++) {
        g_auto(GStrv) fields = guestfs_blkid(g, devices[i]);
        for (guint f = 0; fields != NULL && fields[f] != NULL && fields[f + 1] != NULL; f += 2) {
            if (strcmp(fields[f], tags[tag][1]) == 0 &&
                g_ascii_strcasecmp(fields[f + 1], what + strlen(tags[tag][0])) == 0) {
                return g_strdup(devices[i]);
            }
        }
    }
    return NULL;
}

/* libguestfs says nothing of a device that is told by its UUID or label, and is not there. */
static gboolean mounts_find_unnamed(Mounts *mounts, GHashTable *devices, GError **error)
{
    for (guint i = 0; i < mounts->entries->len; i++) {
        const FstabEntry *entry = g_ptr_array_index(mounts->entries, i);
        gboolean by_tag = strchr(entry->what, '=') != NULL && entry->what[0] != '/';
        if (!by_tag || entry->where[0] != '/' || strcmp(entry->where, "/") == 0 ||
            g_hash_table_contains(devices, entry->where)) {
            continue;
        }
        char *device = mounts_find_part(mounts->g, entry->what);
        if (device != NULL) {
            g_hash_table_insert(devices, g_strdup(entry->where), device);
        } else if (!mounts_leave(mounts, entry->where, entry->what, NOT_THERE, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* All but /, those above first. */
static gboolean mounts_mount_rest(Mounts *mounts, GHashTable *devices, GError **error)
{
    if (!mounts_find_unnamed(mounts, devices, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) points = g_ptr_array_new();
    g_autoptr(GList) keys = g_hash_table_get_keys(devices);
    for (const GList *key = keys; key != NULL; key = key->next) {
        g_ptr_array_add(points, key->data);
    }
    g_ptr_array_sort(points, by_length);
    for (guint i = 0; i < points->len; i++) {
        const char *point = g_ptr_array_index(points, i);
        if (strcmp(point, "/") != 0 && !mounts_mount_one(mounts, g_hash_table_lookup(devices, point), point, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

gboolean mounts_mount(guestfs_h *g, char **root, GPtrArray *notes, GError **error)
{
    g_autofree char *found = mounts_find_root(g, error);
    g_auto(GStrv) named = found == NULL ? NULL : guestfs_inspect_get_mountpoints(g, found);
    if (named == NULL) {
        return found != NULL && appliance_failed(g, "its mount points", error);
    }
    g_autoptr(GHashTable) devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; named[i] != NULL && named[i + 1] != NULL; i += 2) {
        g_hash_table_insert(devices, g_strdup(named[i]), g_strdup(named[i + 1]));
    }
    const char *device = g_hash_table_lookup(devices, "/");
    if (device == NULL) {
        device = found;
    }
    if (guestfs_mount(g, device, "/") != 0) {
        return appliance_failed(g, "/", error);
    }
    g_autoptr(GPtrArray) entries = mounts_read_fstab(g, error);
    g_autoptr(GPtrArray) left = g_ptr_array_new();
    Mounts mounts = {.g = g, .entries = entries, .left = left, .notes = notes};
    if (entries == NULL || !mounts_mount_rest(&mounts, devices, error)) {
        return FALSE;
    }
    *root = g_steal_pointer(&found);
    return TRUE;
}

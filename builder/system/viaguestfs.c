/* Every disk that libguestfs knows, in its appliance: one launch for everything until the tree is closed. */
#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/appliance.h"
#include "appliance/fstab.h"
#include "appliance/selinux.h"
#include "system/swap.h"
#include "system/treekinds.h"

#define ZEROS (1 << 20) /* bytes written at once: a message to the appliance has at most 4 MB */

typedef struct {
    SystemTree tree;
    guestfs_h *g;
    char *root; /* the device that names the system to the inspection */
} Appliance;

static guestfs_h *handle_of(SystemTree *tree)
{
    return ((Appliance *)tree)->g;
}

static gboolean appliance_list(SystemTree *tree, const char *folder, GPtrArray *names, GError **error)
{
    guestfs_h *g = handle_of(tree);
    int is_folder = guestfs_is_dir_opts(g, folder, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1);
    g_auto(GStrv) found = is_folder == 1 ? guestfs_ls(g, folder) : NULL;
    if (is_folder < 0 || (is_folder == 1 && found == NULL)) {
        return appliance_failed(g, folder, error);
    }
    for (guint i = 0; found != NULL && found[i] != NULL; i++) {
        g_ptr_array_add(names, g_strdup(found[i]));
    }
    return TRUE;
}

/* st, which is freed, is what libguestfs has answered; NULL: it has failed. */
static gboolean appliance_type(guestfs_h *g, struct guestfs_statns *st, const char *path, SystemType *type,
                               guint64 *size, GError **error)
{
    *type = SYSTEM_NOTHING;
    *size = 0;
    if (st == NULL) {
        int number = guestfs_last_errno(g);
        return number == ENOENT || number == ENOTDIR || number == ELOOP || appliance_failed(g, path, error);
    }
    *type = S_ISREG(st->st_mode)   ? SYSTEM_PLAIN
            : S_ISDIR(st->st_mode) ? SYSTEM_FOLDER
            : S_ISLNK(st->st_mode) ? SYSTEM_LINK
                                   : SYSTEM_OTHER;
    *size = (guint64)st->st_size;
    guestfs_free_statns(st);
    return TRUE;
}

static gboolean appliance_look(SystemTree *tree, const char *path, SystemType *type, GError **error)
{
    guestfs_h *g = handle_of(tree);
    guint64 size;
    return appliance_type(g, guestfs_lstatns(g, path), path, type, &size, error);
}

static gboolean appliance_follow(SystemTree *tree, const char *path, SystemType *type, guint64 *size, GError **error)
{
    guestfs_h *g = handle_of(tree);
    return appliance_type(g, guestfs_statns(g, path), path, type, size, error);
}

static gboolean appliance_reaches(SystemTree *tree, const char *path)
{
    (void)tree, (void)path;
    return TRUE;
}

static gboolean appliance_remove(SystemTree *tree, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    return guestfs_rm_rf(g, path) == 0 || appliance_failed(g, path, error);
}

static gboolean appliance_empty(SystemTree *tree, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    return guestfs_truncate(g, path) == 0 || appliance_failed(g, path, error);
}

static char *appliance_read(SystemTree *tree, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    char *text = guestfs_cat(g, path);
    if (text == NULL) {
        appliance_failed(g, path, error);
    }
    return text;
}

/* The folders above path, each with its label where it is made. */
static gboolean appliance_make_folders(guestfs_h *g, const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    int there = guestfs_is_dir_opts(g, folder, GUESTFS_IS_DIR_OPTS_FOLLOWSYMLINKS, 1, -1);
    if (there == 1) {
        return TRUE;
    }
    return (there == 0 || appliance_failed(g, folder, error)) && appliance_make_folders(g, folder, error) &&
           (guestfs_mkdir(g, folder) == 0 || appliance_failed(g, folder, error)) && selinux_label(g, folder, error);
}

static gboolean appliance_write(SystemTree *tree, const char *path, const char *text, guint mode, GError **error)
{
    guestfs_h *g = handle_of(tree);
    SystemType type;
    if (!appliance_look(tree, path, &type, error) || !appliance_make_folders(g, path, error)) {
        return FALSE;
    }
    return ((guestfs_write(g, path, text, strlen(text)) == 0 &&
             (type != SYSTEM_NOTHING || guestfs_chmod(g, (int)mode, path) == 0)) ||
            appliance_failed(g, path, error)) &&
           (type != SYSTEM_NOTHING || selinux_label(g, path, error));
}

static gboolean appliance_link(SystemTree *tree, const char *target, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    return appliance_make_folders(g, path, error) &&
           (guestfs_ln_sf(g, target, path) == 0 || appliance_failed(g, path, error)) && selinux_label(g, path, error);
}

/* The package URL's type of what a tool installs. */
static const char *appliance_package_type(guestfs_h *g, const char *root)
{
    static const char *const types[][2] = {{"apt", "deb"}, {"apk", "apk"},    {"pacman", "alpm"}, {"dnf", "rpm"},
                                           {"yum", "rpm"}, {"zypper", "rpm"}, {"urpmi", "rpm"},   {"up2date", "rpm"}};
    g_autofree char *tool = guestfs_inspect_get_package_management(g, root);
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        if (g_strcmp0(tool, types[i][0]) == 0) {
            return types[i][1];
        }
    }
    return "generic";
}

static json_t *appliance_packages(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    const char *type = appliance_package_type(g, ((Appliance *)tree)->root);
    struct guestfs_application2_list *applications = guestfs_inspect_list_applications2(g, ((Appliance *)tree)->root);
    if (applications == NULL) {
        appliance_failed(g, "the list of packages", error);
        return NULL;
    }
    json_t *list = json_array();
    for (guint i = 0; i < applications->len; i++) {
        const struct guestfs_application2 *one = &applications->val[i];
        g_autofree char *version = one->app2_release[0] == '\0'
                                       ? g_strdup(one->app2_version)
                                       : g_strdup_printf("%s-%s", one->app2_version, one->app2_release);
        if (one->app2_epoch > 0) {
            g_autofree char *with_epoch = g_strdup_printf("%d:%s", one->app2_epoch, version);
            g_free(version);
            version = g_steal_pointer(&with_epoch);
        }
        json_t *package = ingot_json_pack("{s:o, s:o, s:o}", "name", ingot_json_text(one->app2_name), "version",
                                          ingot_json_text(version), "architecture", ingot_json_text(one->app2_arch));
        ingot_json_set_string(package, "type", strcmp(type, "deb") == 0 ? NULL : type);
        json_array_append_new(list, package);
    }
    guestfs_free_application2_list(applications);
    return list;
}

static json_t *appliance_os(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    const char *root = ((Appliance *)tree)->root;
    g_autofree char *id = guestfs_inspect_get_distro(g, root);
    int major = guestfs_inspect_get_major_version(g, root);
    int minor = guestfs_inspect_get_minor_version(g, root);
    if (id == NULL || major < 0 || minor < 0) {
        appliance_failed(g, "what system it is", error);
        return NULL;
    }
    g_autofree char *version = minor > 0 ? g_strdup_printf("%d.%d", major, minor) : g_strdup_printf("%d", major);
    return ingot_json_pack("{s:o, s:s}", "id", ingot_json_text(id), "version", version);
}

/* --- what no file holds --- */

/* Zeros from the end of the header on, written through the file system: the file's blocks stay where they are. */
static gboolean appliance_wipe_swap_file(guestfs_h *g, const char *path, GError **error)
{
    int is_file = guestfs_is_file(g, path);
    gint64 size = is_file == 1 ? guestfs_filesize(g, path) : 0;
    size_t got = 0;
    g_autofree char *head = size > 0 ? guestfs_pread(g, path, SWAP_HEAD, 0, &got) : NULL;
    if (is_file < 0 || size < 0 || (size > 0 && head == NULL)) {
        return appliance_failed(g, path, error);
    }
    gint64 at = head == NULL ? 0 : (gint64)swap_header(head, got);
    if (at == 0) {
        return TRUE;
    }
    g_autofree char *zeros = g_malloc0(ZEROS);
    while (at < size) {
        int written = guestfs_pwrite(g, path, zeros, (size_t)MIN(size - at, ZEROS), at);
        if (written <= 0) {
            return appliance_failed(g, path, error);
        }
        at += written;
    }
    return TRUE;
}

static gboolean appliance_wipe_swap_files(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    g_autofree char *text = NULL;
    if (!system_tree_read(tree, "/etc/fstab", SYSTEM_TEXT_MAX, &text, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) mounts = fstab_parse(text == NULL ? "" : text);
    g_autoptr(GPtrArray) paths = fstab_swap_files(mounts);
    for (guint i = 0; i < paths->len; i++) {
        if (!appliance_wipe_swap_file(g, g_ptr_array_index(paths, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* A partition or a logical volume. */
static gboolean appliance_wipe_swap_device(guestfs_h *g, const char *device, GError **error)
{
    size_t got = 0;
    g_autofree char *head = guestfs_pread_device(g, device, SWAP_HEAD, 0, &got);
    if (head == NULL) {
        return appliance_failed(g, device, error);
    }
    gsize page = swap_header(head, got);
    return page == 0 || (guestfs_zero_device(g, device) == 0 && guestfs_pwrite_device(g, device, head, page, 0) > 0) ||
           appliance_failed(g, device, error);
}

static gboolean appliance_wipe_swap_devices(guestfs_h *g, GError **error)
{
    g_auto(GStrv) systems = guestfs_list_filesystems(g);
    if (systems == NULL) {
        return appliance_failed(g, "file systems", error);
    }
    for (guint i = 0; systems[i] != NULL && systems[i + 1] != NULL; i += 2) {
        if (strcmp(systems[i + 1], "swap") == 0 && !appliance_wipe_swap_device(g, systems[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Discarding alone is no promise of zeros: what is smaller than a cluster of the disk's format stays. An ext2/3/4 is
 * unmounted, and its free blocks are looked at one by one; any other file system is filled with a file of zeros. Each
 * is unmounted behind that, for the one that it is mounted in can't be before. */
static gboolean appliance_wipe_system(guestfs_h *g, const char *device, const char *point, GError **error)
{
    static const char *const zerofree[] = {"zerofree", NULL};
    g_autofree char *type = guestfs_vfs_type(g, device);
    if (type != NULL && g_str_has_prefix(type, "ext") && guestfs_feature_available(g, (char *const *)zerofree) == 1) {
        return (guestfs_umount(g, device) == 0 && guestfs_zerofree(g, device) == 0) ||
               appliance_failed(g, device, error);
    }
    if (guestfs_zero_free_space(g, point) != 0) {
        return appliance_failed(g, point, error);
    }
    /* A file system that cannot trim (FAT before Linux 5.0) just takes more room until the disk is packed. */
    guestfs_fstrim(g, point, -1);
    return guestfs_umount(g, point) == 0 || appliance_failed(g, point, error);
}

static gint by_falling_length(gconstpointer a, gconstpointer b)
{
    return (gint)strlen(*(char *const *)b) - (gint)strlen(*(char *const *)a);
}

static gboolean appliance_wipe(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    if (!appliance_wipe_swap_files(tree, error) || !appliance_wipe_swap_devices(g, error)) {
        return FALSE;
    }
    g_auto(GStrv) mounts = guestfs_mountpoints(g);
    if (mounts == NULL) {
        return appliance_failed(g, "mount points", error);
    }
    g_autoptr(GHashTable) devices = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) points = g_ptr_array_new();
    for (guint i = 0; mounts[i] != NULL && mounts[i + 1] != NULL; i += 2) {
        g_hash_table_insert(devices, mounts[i + 1], mounts[i]);
        g_ptr_array_add(points, mounts[i + 1]);
    }
    g_ptr_array_sort(points, by_falling_length); /* what is mounted in another comes first */
    for (guint i = 0; i < points->len; i++) {
        const char *point = g_ptr_array_index(points, i);
        if (!appliance_wipe_system(g, g_hash_table_lookup(devices, point), point, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean appliance_close(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    return guestfs_shutdown(g) == 0 || appliance_failed(g, "closing the disk", error);
}

static void appliance_free(SystemTree *tree)
{
    Appliance *appliance = (Appliance *)tree;
    g_clear_pointer(&appliance->g, guestfs_close);
    g_free(appliance->root);
    g_free(appliance);
}

static const SystemTreeKind appliance_kind = {
    .list = appliance_list,
    .look = appliance_look,
    .follow = appliance_follow,
    .reaches = appliance_reaches,
    .remove = appliance_remove,
    .empty = appliance_empty,
    .read = appliance_read,
    .write = appliance_write,
    .link = appliance_link,
    .os = appliance_os,
    .packages = appliance_packages,
    .wipe = appliance_wipe,
    .close = appliance_close,
    .free = appliance_free,
};

SystemTree *system_tree_open_guestfs(const SystemTreeOptions *options, GError **error)
{
    Appliance *appliance = g_new0(Appliance, 1);
    appliance->tree.kind = &appliance_kind;
    g_autoptr(SystemTree) owner = &appliance->tree;
    ApplianceOptions opened = {
        .disk = options->disk, .format = options->format, .cache = options->cache, .notes = options->notes};
    appliance->g = appliance_open(&opened, &appliance->root, error);
    return appliance->g == NULL ? NULL : g_steal_pointer(&owner);
}

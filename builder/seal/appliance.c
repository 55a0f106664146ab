/* Every disk that libguestfs knows, in its appliance: one launch for all that a seal does. */
#include <guestfs.h>
#include <ingot/error.h>
#include <string.h>

#include "seal/tree.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(guestfs_h, guestfs_close)

typedef struct {
    SealTree tree;
    guestfs_h *g;
    char *root; /* the device that names the system to the inspection */
} Appliance;

static gboolean failed(guestfs_h *g, const char *what, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "seal: %s: %s", what, guestfs_last_error(g));
    return FALSE;
}

static guestfs_h *handle_of(SealTree *tree)
{
    return ((Appliance *)tree)->g;
}

static guestfs_h *launch(const char *disk, const char *format, const char *cache, GError **error)
{
    g_autoptr(guestfs_h) g = guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT);
    if (g == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "seal: libguestfs could not be started");
        return NULL;
    }
    guestfs_set_error_handler(g, NULL, NULL);
    guestfs_parse_environment(g);
    guestfs_set_autosync(g, 1);
    if (g_getenv("LIBGUESTFS_CACHEDIR") == NULL) {
        guestfs_set_cachedir(g, cache);
    }
    if (guestfs_add_drive_opts(g, disk, GUESTFS_ADD_DRIVE_OPTS_FORMAT, format, GUESTFS_ADD_DRIVE_OPTS_CACHEMODE,
                               "unsafe", GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort", -1) != 0) {
        failed(g, disk, error);
        return NULL;
    }
    if (guestfs_launch(g) != 0) {
        failed(g, "the libguestfs appliance", error);
        return NULL;
    }
    return g_steal_pointer(&g);
}

static int by_length(gconstpointer a, gconstpointer b)
{
    return (int)strlen(*(char *const *)a) - (int)strlen(*(char *const *)b);
}

/* Mounts the system's file systems, / first; *root is the device that names the system to the inspection. */
static gboolean mount_system(guestfs_h *g, char **root, GError **error)
{
    g_auto(GStrv) roots = guestfs_inspect_os(g);
    if (roots == NULL) {
        return failed(g, "looking for the operating system", error);
    }
    if (g_strv_length(roots) != 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "seal: %u operating systems on the disk, 1 expected",
                    g_strv_length(roots));
        return FALSE;
    }
    g_auto(GStrv) mounts = guestfs_inspect_get_mountpoints(g, roots[0]);
    if (mounts == NULL) {
        return failed(g, "its mount points", error);
    }
    g_autoptr(GPtrArray) points = g_ptr_array_new();
    g_autoptr(GHashTable) devices = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; mounts[i] != NULL && mounts[i + 1] != NULL; i += 2) {
        g_ptr_array_add(points, mounts[i]);
        g_hash_table_insert(devices, mounts[i], mounts[i + 1]);
    }
    g_ptr_array_sort(points, by_length);
    for (guint i = 0; i < points->len; i++) {
        const char *point = g_ptr_array_index(points, i);
        if (guestfs_mount(g, g_hash_table_lookup(devices, point), point) != 0) {
            return failed(g, point, error);
        }
    }
    *root = g_strdup(roots[0]);
    return TRUE;
}

static gboolean for_each(guestfs_h *g, const char *pattern, int (*act)(guestfs_h *, const char *), GError **error)
{
    g_auto(GStrv) paths = guestfs_glob_expand_opts(g, pattern, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);
    if (paths == NULL) {
        return failed(g, pattern, error);
    }
    for (guint i = 0; paths[i] != NULL; i++) {
        if (act(g, paths[i]) != 0) {
            return failed(g, paths[i], error);
        }
    }
    return TRUE;
}

static int empty_file(guestfs_h *g, const char *path)
{
    int file = guestfs_is_file(g, path);
    return file == 1 ? guestfs_truncate(g, path) : file;
}

static gboolean appliance_remove(SealTree *tree, const char *pattern, GError **error)
{
    return for_each(handle_of(tree), pattern, guestfs_rm_rf, error);
}

static gboolean appliance_empty(SealTree *tree, const char *pattern, GError **error)
{
    return for_each(handle_of(tree), pattern, empty_file, error);
}

static gboolean appliance_exists(SealTree *tree, const char *path, gboolean *exists, GError **error)
{
    guestfs_h *g = handle_of(tree);
    int answer = guestfs_exists(g, path);
    *exists = answer == 1;
    return answer >= 0 || failed(g, path, error);
}

static char *appliance_read(SealTree *tree, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    char *text = guestfs_cat(g, path);
    if (text == NULL) {
        failed(g, path, error);
    }
    return text;
}

static gboolean appliance_write(SealTree *tree, const char *path, const char *text, GError **error)
{
    guestfs_h *g = handle_of(tree);
    g_autofree char *folder = g_path_get_dirname(path);
    return (guestfs_mkdir_p(g, folder) == 0 && guestfs_write(g, path, text, strlen(text)) == 0) ||
           failed(g, path, error);
}

static gboolean appliance_link(SealTree *tree, const char *target, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    g_autofree char *folder = g_path_get_dirname(path);
    return (guestfs_mkdir_p(g, folder) == 0 && guestfs_ln_sf(g, target, path) == 0) || failed(g, path, error);
}

static json_t *appliance_packages(SealTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    struct guestfs_application2_list *applications = guestfs_inspect_list_applications2(g, ((Appliance *)tree)->root);
    if (applications == NULL) {
        failed(g, "the list of packages", error);
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
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", one->app2_name, "version", version,
                                              "architecture", one->app2_arch));
    }
    guestfs_free_application2_list(applications);
    return list;
}

static json_t *appliance_os(SealTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    const char *root = ((Appliance *)tree)->root;
    g_autofree char *id = guestfs_inspect_get_distro(g, root);
    int major = guestfs_inspect_get_major_version(g, root);
    int minor = guestfs_inspect_get_minor_version(g, root);
    if (id == NULL || major < 0 || minor < 0) {
        failed(g, "what system it is", error);
        return NULL;
    }
    g_autofree char *version = minor > 0 ? g_strdup_printf("%d.%d", major, minor) : g_strdup_printf("%d", major);
    return json_pack("{s:s, s:s}", "id", id, "version", version);
}

static gboolean trim(guestfs_h *g, GError **error)
{
    g_auto(GStrv) points = guestfs_mountpoints(g);
    if (points == NULL) {
        return failed(g, "mount points", error);
    }
    for (guint i = 0; points[i] != NULL && points[i + 1] != NULL; i += 2) {
        /* A file system that cannot trim (FAT before Linux 5.0) just stays larger. */
        guestfs_fstrim(g, points[i + 1], -1);
    }
    return TRUE;
}

static gboolean appliance_finish(SealTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    return trim(g, error) && (guestfs_shutdown(g) == 0 || failed(g, "closing the disk", error));
}

static void appliance_free(SealTree *tree)
{
    Appliance *appliance = (Appliance *)tree;
    g_clear_pointer(&appliance->g, guestfs_close);
    g_free(appliance->root);
    g_free(appliance);
}

static const SealTreeKind appliance_kind = {
    .remove = appliance_remove,
    .empty = appliance_empty,
    .exists = appliance_exists,
    .read = appliance_read,
    .write = appliance_write,
    .link = appliance_link,
    .os = appliance_os,
    .packages = appliance_packages,
    .finish = appliance_finish,
    .free = appliance_free,
};

SealTree *seal_appliance_open(const char *disk, const char *format, const char *cache, GError **error)
{
    Appliance *appliance = g_new0(Appliance, 1);
    appliance->tree.kind = &appliance_kind;
    g_autoptr(SealTree) owner = &appliance->tree;
    appliance->g = launch(disk, format, cache, error);
    if (appliance->g == NULL || !mount_system(appliance->g, &appliance->root, error)) {
        return NULL;
    }
    return g_steal_pointer(&owner);
}

/* Every disk that libguestfs knows, in its appliance: one launch for everything until the tree is closed. */
#include <ingot/error.h>
#include <string.h>

#include "appliance/appliance.h"
#include "system/treekinds.h"

typedef struct {
    SystemTree tree;
    guestfs_h *g;
    char *root; /* the device that names the system to the inspection */
} Appliance;

static guestfs_h *handle_of(SystemTree *tree)
{
    return ((Appliance *)tree)->g;
}

static gboolean for_each(guestfs_h *g, const char *pattern, int (*act)(guestfs_h *, const char *), GError **error)
{
    g_auto(GStrv) paths = guestfs_glob_expand_opts(g, pattern, GUESTFS_GLOB_EXPAND_OPTS_DIRECTORYSLASH, 0, -1);
    if (paths == NULL) {
        return appliance_failed(g, pattern, error);
    }
    for (guint i = 0; paths[i] != NULL; i++) {
        if (act(g, paths[i]) != 0) {
            return appliance_failed(g, paths[i], error);
        }
    }
    return TRUE;
}

static int empty_file(guestfs_h *g, const char *path)
{
    int file = guestfs_is_file(g, path);
    return file == 1 ? guestfs_truncate(g, path) : file;
}

static gboolean appliance_remove(SystemTree *tree, const char *pattern, GError **error)
{
    return for_each(handle_of(tree), pattern, guestfs_rm_rf, error);
}

static gboolean appliance_empty(SystemTree *tree, const char *pattern, GError **error)
{
    return for_each(handle_of(tree), pattern, empty_file, error);
}

static gboolean appliance_exists(SystemTree *tree, const char *path, gboolean *exists, GError **error)
{
    guestfs_h *g = handle_of(tree);
    int answer = guestfs_exists(g, path);
    *exists = answer == 1;
    return answer >= 0 || appliance_failed(g, path, error);
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

static gboolean appliance_write(SystemTree *tree, const char *path, const char *text, guint mode, GError **error)
{
    guestfs_h *g = handle_of(tree);
    g_autofree char *folder = g_path_get_dirname(path);
    gboolean there;
    if (!appliance_exists(tree, path, &there, error)) {
        return FALSE;
    }
    return (guestfs_mkdir_p(g, folder) == 0 && guestfs_write(g, path, text, strlen(text)) == 0 &&
            (there || guestfs_chmod(g, (int)mode, path) == 0)) ||
           appliance_failed(g, path, error);
}

static gboolean appliance_link(SystemTree *tree, const char *target, const char *path, GError **error)
{
    guestfs_h *g = handle_of(tree);
    g_autofree char *folder = g_path_get_dirname(path);
    return (guestfs_mkdir_p(g, folder) == 0 && guestfs_ln_sf(g, target, path) == 0) || appliance_failed(g, path, error);
}

static json_t *appliance_packages(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
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
        json_array_append_new(list, ingot_json_pack("{s:o, s:o, s:o}", "name", ingot_json_text(one->app2_name),
                                                    "version", ingot_json_text(version), "architecture",
                                                    ingot_json_text(one->app2_arch)));
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

static gboolean appliance_trim(SystemTree *tree, GError **error)
{
    guestfs_h *g = handle_of(tree);
    g_auto(GStrv) points = guestfs_mountpoints(g);
    if (points == NULL) {
        return appliance_failed(g, "mount points", error);
    }
    for (guint i = 0; points[i] != NULL && points[i + 1] != NULL; i += 2) {
        /* A file system that cannot trim (FAT before Linux 5.0) just stays larger. */
        guestfs_fstrim(g, points[i + 1], -1);
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
    .remove = appliance_remove,
    .empty = appliance_empty,
    .exists = appliance_exists,
    .read = appliance_read,
    .write = appliance_write,
    .link = appliance_link,
    .os = appliance_os,
    .packages = appliance_packages,
    .trim = appliance_trim,
    .close = appliance_close,
    .free = appliance_free,
};

SystemTree *system_tree_open_guestfs(const SystemTreeOptions *options, GError **error)
{
    Appliance *appliance = g_new0(Appliance, 1);
    appliance->tree.kind = &appliance_kind;
    g_autoptr(SystemTree) owner = &appliance->tree;
    ApplianceOptions opened = {.disk = options->disk, .format = options->format, .cache = options->cache};
    appliance->g = appliance_open(&opened, &appliance->root, error);
    return appliance->g == NULL ? NULL : g_steal_pointer(&owner);
}

#include "appliance/appliance.h"

#include <ingot/error.h>
#include <ingot/process.h>
#include <string.h>

#include "appliance/watch.h"

gboolean appliance_failed(guestfs_h *g, const char *what, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE; /* the watch has ended the appliance, which is all that libguestfs knows */
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s", what, guestfs_last_error(g));
    return FALSE;
}

static gboolean add_port(guestfs_h *g, const ApplianceOptions *options, GError **error)
{
    /* QEMU takes a doubled comma for one that belongs to the value. */
    g_auto(GStrv) parts = g_strsplit(options->port, ",", -1);
    g_autofree char *path = g_strjoinv(",,", parts);
    g_autofree char *socket = g_strdup_printf("socket,id=ingot,path=%s,server=on,wait=off", path);
    g_autofree char *port = g_strdup_printf("virtserialport,chardev=ingot,name=%s", options->port_name);
    return (guestfs_config(g, "-chardev", socket) == 0 && guestfs_config(g, "-device", port) == 0) ||
           appliance_failed(g, "a port for the libguestfs appliance", error);
}

static guestfs_h *launch(const ApplianceOptions *options, GError **error)
{
    g_autoptr(guestfs_h) g = guestfs_create_flags(GUESTFS_CREATE_NO_ENVIRONMENT);
    if (g == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "libguestfs could not be started");
        return NULL;
    }
    guestfs_set_error_handler(g, NULL, NULL);
    guestfs_parse_environment(g);
    if (!ingot_interrupt_check(error) || !appliance_watch(g, error)) {
        return NULL;
    }
    guestfs_set_autosync(g, 1);
    guestfs_set_network(g, options->network);
    if (g_getenv("LIBGUESTFS_CACHEDIR") == NULL) {
        guestfs_set_cachedir(g, options->cache);
    }
    if (guestfs_add_drive_opts(g, options->disk, GUESTFS_ADD_DRIVE_OPTS_FORMAT, options->format,
                               GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, "unsafe", GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort",
                               -1) != 0) {
        appliance_failed(g, options->disk, error);
        return NULL;
    }
    if (options->port != NULL && !add_port(g, options, error)) {
        return NULL;
    }
    if (guestfs_launch(g) != 0) {
        appliance_failed(g, "the libguestfs appliance", error);
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
        return appliance_failed(g, "looking for the operating system", error);
    }
    if (g_strv_length(roots) != 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%u operating systems on the disk, 1 expected",
                    g_strv_length(roots));
        return FALSE;
    }
    g_auto(GStrv) mounts = guestfs_inspect_get_mountpoints(g, roots[0]);
    if (mounts == NULL) {
        return appliance_failed(g, "its mount points", error);
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
            return appliance_failed(g, point, error);
        }
    }
    *root = g_strdup(roots[0]);
    return TRUE;
}

guestfs_h *appliance_open(const ApplianceOptions *options, char **root, GError **error)
{
    g_autoptr(guestfs_h) g = launch(options, error);
    return g != NULL && mount_system(g, root, error) ? g_steal_pointer(&g) : NULL;
}

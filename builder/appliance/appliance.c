#include "appliance/appliance.h"

#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "appliance/mounts.h"
#include "appliance/watch.h"
#include "base/file.h"
#include "base/process.h"
#include "machine/board.h"

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

/* A cache that can't be used makes a build slower, and nothing else. */
static void keep_in(guestfs_h *g, const char *cache)
{
    if (g_getenv("LIBGUESTFS_CACHEDIR") == NULL && ingot_file_make_folder(cache, NULL) && access(cache, W_OK) == 0) {
        guestfs_set_cachedir(g, cache);
    }
}

/* Where it is emulated, its processor is the one that emulated machines get: of two, QEMU goes by the last. */
static gboolean choose_processor(guestfs_h *g, GError **error)
{
    g_autofree char *emulated = guestfs_get_backend_setting(g, "force_tcg");
    return emulated == NULL || guestfs_config(g, "-cpu", BOARD_EMULATED) == 0 ||
           appliance_failed(g, "the processor of the libguestfs appliance", error);
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
    keep_in(g, options->cache);
    if (guestfs_add_drive_opts(g, options->disk, GUESTFS_ADD_DRIVE_OPTS_FORMAT, options->format,
                               GUESTFS_ADD_DRIVE_OPTS_CACHEMODE, "unsafe", GUESTFS_ADD_DRIVE_OPTS_DISCARD, "besteffort",
                               -1) != 0) {
        appliance_failed(g, options->disk, error);
        return NULL;
    }
    if (!choose_processor(g, error) || (options->port != NULL && !add_port(g, options, error))) {
        return NULL;
    }
    if (guestfs_launch(g) != 0) {
        appliance_failed(g, "the libguestfs appliance", error);
        return NULL;
    }
    return g_steal_pointer(&g);
}

guestfs_h *appliance_open(const ApplianceOptions *options, char **root, GError **error)
{
    g_autoptr(guestfs_h) g = launch(options, error);
    return g != NULL && mounts_mount(g, root, options->notes, error) ? g_steal_pointer(&g) : NULL;
}

/* A disk from outside: libguestfs's appliance, a small machine of its own, with the system of the disk mounted. */
#pragma once

#include <glib.h>
#include <guestfs.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(guestfs_h, guestfs_close)

typedef struct {
    const char *disk, *format;
    const char *cache; /* where the appliance is kept from one time to the next; libguestfs's own place is taken instead
                          where nothing can be written there */
    gboolean network;  /* commands in the system reach the network */
    const char *port;  /* path of the unix socket behind a virtio-serial port that the appliance gets; NULL: none */
    const char *port_name;
    GPtrArray *notes; /* gets a line (char *) for each mount point of the system that is left out */
} ApplianceOptions;

/* Whatever waits for the appliance fails once the process is interrupted, and the appliance is ended: see watch.h.
 * One system is expected on the disk; *root is the device that names it to libguestfs's inspection: free it. */
guestfs_h *appliance_open(const ApplianceOptions *options, char **root, GError **error);
/* Sets "WHAT: libguestfs's last error", or why the process was interrupted; always FALSE. */
gboolean appliance_failed(guestfs_h *g, const char *what, GError **error);

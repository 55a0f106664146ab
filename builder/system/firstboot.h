/* What a machine makes for itself at its first boot, because no two machines may share it: a unit of systemd and the
 * script that it runs. The script makes what is missing and leaves what is there, so it runs at every boot. */
#pragma once

#include "system/tree.h"

typedef struct {
    const char *path;    /* from / */
    guint mode;          /* with the type as in st_mode: S_IFREG or S_IFLNK */
    const char *content; /* of a file; or where a link points to */
} FirstBootFile;

/* The SSH server's host keys. Both lists end with a NULL path; the first file is the unit. */
extern const FirstBootFile firstboot_host_keys[];
/* Names of a storage network and the self-signed certificate of Debian's ssl-cert. */
extern const FirstBootFile firstboot_identities[];

/* Writes the files, unless the system has a unit of this name. */
gboolean firstboot_install(SystemTree *tree, const FirstBootFile *files, GError **error);
/* The same for the host keys, where there is an SSH server that nothing else of the system makes them for. */
gboolean firstboot_install_host_keys(SystemTree *tree, GError **error);

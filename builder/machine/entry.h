/* How root gets in: the authorized key, told to the guest from outside in the two ways that guests know.
 *
 * As a systemd credential by SMBIOS (systemd.exec(5), "tmpfiles.extra"), for any guest with systemd 252 or newer; and
 * as a NoCloud seed (cloud-init's documentation, "NoCloud"), for cloud images. */
#pragma once

#include <glib.h>

/* The value for QEMU's -smbios type=11,value=. Free it. */
char *entry_credential(const char *public_key);
/* What the instance of a machine that is built on is called for cloud-init, with a number behind it: the seal knows it
 * by that. */
#define ENTRY_BUILD "ingot-build"
/* Writes an ISO 9660 image with volume id "cidata" to path. */
gboolean entry_write_seed(const char *path, const char *public_key, const char *hostname, GError **error);

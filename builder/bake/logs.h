/* The logs of a build's machines, which lie in its work folder and would go with it. */
#pragma once

#include <glib.h>

/* Copies each console.log, console.log.1 (its older half) and qemu.log below workdir into a folder, which is made,
 * under the name of the machine's own folder: "machine-0-console.log". */
gboolean logs_keep(const char *workdir, const char *folder, GError **error);

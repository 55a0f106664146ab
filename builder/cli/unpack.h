/* An image's disks as files that QEMU can boot a throw-away layer over. */
#pragma once

#include <ingot/store.h>

#include "base/file.h"

/* Their paths, in order: raw files of the work folder. Free them with g_strfreev. */
char **unpack_disks(const IngotImage *image, IngotWorkdir *workdir, GError **error);

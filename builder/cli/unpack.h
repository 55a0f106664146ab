/* An image's disk as a file that QEMU can boot a throw-away layer over. */
#pragma once

#include <ingot/store.h>

#include "base/file.h"

/* Its path: a raw file of the work folder. Free it. */
char *unpack_disk(const IngotImage *image, IngotWorkdir *workdir, GError **error);

/* A tar archive as a layout (POSIX.1-2017, pax "ustar Interchange Format"): a head of 512 bytes for each file, the
 * file, zeros up to the next 512. Owner root, mode 0644, time 0: the same files are the same archive. */
#pragma once

#include <ingot/layout.h>

#define TAR_NAME_MAX 100u

/* name: at most TAR_NAME_MAX bytes. A size that octal digits can't say (8 GiB and more) is written in base 256, as GNU
 * and all readers of today have it. */
void tar_add(IngotLayout *archive, const char *name, IngotLayout *file);
void tar_add_text(IngotLayout *archive, const char *name, const char *text);
/* After the last file. */
void tar_end(IngotLayout *archive);

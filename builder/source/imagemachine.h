/* What a disk from elsewhere says of the machine that it was of: what describes it, else its own partitions. It is kept
 * beside a disk that is taken out of a bundle, since the disk alone does not tell all of it. */
#pragma once

#include "bundle/bundle.h"
#include "source/source.h"

/* {"architecture": "amd64", "firmware"?: ["uefi"]} of a bundle, or of a disk in a format that is told. NULL: it could
 * not be read, or is of another architecture (INVALID). `file` names it. */
json_t *image_machine_of_bundle(IngotBundle *bundle, const char *file, GError **error);
json_t *image_machine_of_disk(const char *path, const char *format, GError **error);

/* Beside the disk at path. Reading it gives NULL where it is not there, or not whole. */
gboolean image_machine_keep(const json_t *machine, const char *path, GError **error);
json_t *image_machine_kept(const char *path);

/* Hands it on to what is built of the disk. One that boots by UEFI, while the recipe says BIOS, is told of. */
void image_machine_apply(const SourceContext *context, const char *file, const json_t *machine, Source *made);

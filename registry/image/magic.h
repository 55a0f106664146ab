/* What kind of file a disk is, told by its bytes.
 *
 * Three kinds of answer: a format that is taken; a file that is something else, which is refused by its name; a raw
 * disk. Raw has no mark of its own, so a file counts as raw only if something says so: a boot sector, a partition
 * table, a file system or a volume that begins where the disk begins, zeros alone, a block device, or a name that ends
 * in ".raw". Whatever else it is, is refused: nothing is taken for raw because nobody knew better. A name that ends in
 * another format's suffix is such a word against it: a fixed VHD that is cut short has lost its only mark. */
#pragma once

#include <ingot/blocks.h>

G_BEGIN_DECLS

/* "qcow2", "vmdk", "vhdx", "vpc", "vdi" or "raw"; NULL: a read error, or (INVALID) another kind of file. `name` names
 * it in errors, and may be what says that it is raw. */
const char *magic_probe(const IngotPart *part, const char *name, GError **error);

/* What a name says by its end (".vhd": "vpc"), in upper or lower case; NULL: nothing. */
const char *magic_named(const char *name);

/* The same by the caller's word: NULL if it is none of those, else the word. */
const char *magic_format(const char *word);

G_END_DECLS

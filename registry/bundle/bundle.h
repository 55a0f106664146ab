/* A disk as others hand it on: a plain disk file, or a bundle: an OVA (a tar of an OVF descriptor and its files) or a
 * Vagrant box (a tar, compressed or not, or a zip, with metadata.json).
 *
 * What a file is, its content tells, not its name. Nothing that a stranger's file says is opened: the disk is read
 * where it lies in the archive, or unpacked into a work folder of its own that goes with the bundle, and it may name no
 * other file but extents that come with it. Digests of an OVF manifest (*.mf) are checked. Whatever is wrong with it is
 * INVALID and names bundle, member and reason. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/progress.h>

#include "base/unchanged.h"

G_BEGIN_DECLS

typedef struct IngotBundle IngotBundle;

/* `name` names the file in errors. files: those that were added since it was found to be the right one, or NULL: what
 * has changed since, or changes until all of it is read, is INVALID. */
IngotBundle *ingot_bundle_open(const char *path, const char *name, Unchanged *files, IngotProgress *progress,
                               GError **error);
/* The blocks must be freed first. */
void ingot_bundle_free(IngotBundle *bundle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotBundle, ingot_bundle_free)

IngotBlocks *ingot_bundle_blocks(const IngotBundle *bundle, GError **error);
/* The disk's format ("qcow2", "vmdk", ...), and whether it is a file of its own, in no bundle. */
const char *ingot_bundle_format(const IngotBundle *bundle);
gboolean ingot_bundle_is_disk(const IngotBundle *bundle);
/* The disk as a qcow2 file of its own: over what is at path. Runs qemu-img. */
gboolean ingot_bundle_convert(const IngotBundle *bundle, const char *path, GError **error);
/* Whether it says that its machine boots by UEFI. */
gboolean ingot_bundle_uefi(const IngotBundle *bundle);

G_END_DECLS

/* Disks as others hand them on: a plain disk file, or a bundle: an OVA (an OVF descriptor and its files, as an archive
 * or as they lie), a Vagrant box (an archive with metadata.json), a machine of VMware's or Hyper-V's in its folder.
 *
 * What a file is, its content tells, not its name. Nothing that a stranger's file says is opened: a disk is read where
 * it lies, or unpacked into a work folder of its own that goes with the bundle, and it may name no other file but
 * extents that come with it. Digests of an OVF manifest (*.mf) are checked. Whatever is wrong with it is INVALID and
 * names bundle, member and reason. */
#pragma once

#include <ingot/blocks.h>
#include <ingot/progress.h>
#include <jansson.h>

#include "base/unchanged.h"

G_BEGIN_DECLS

typedef struct IngotBundle IngotBundle;

/* path: a file or a folder; `name` names it in errors. files: those that were added since it was found to be the right
 * one, or NULL: what has changed since, or changes until all of it is read, is INVALID. */
IngotBundle *ingot_bundle_open(const char *path, const char *name, Unchanged *files, IngotProgress *progress,
                               GError **error);
/* The same for a disk whose format is told ("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi"), and counts whatever its
 * bytes look like. */
IngotBundle *ingot_bundle_open_disk(const char *path, const char *name, const char *format, Unchanged *files,
                                    GError **error);
/* The blocks must be freed first. */
void ingot_bundle_free(IngotBundle *bundle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IngotBundle, ingot_bundle_free)

/* Its disks, in the order in which the machine has them: one at least, INGOT_DISKS_MAX at most. */
guint ingot_bundle_count(const IngotBundle *bundle);
IngotBlocks *ingot_bundle_blocks(const IngotBundle *bundle, guint number, GError **error);
const char *ingot_bundle_format(const IngotBundle *bundle, guint number);    /* "qcow2", "vmdk", ... */
const char *ingot_bundle_disk_name(const IngotBundle *bundle, guint number); /* "web.ova: web-disk1.vmdk" */
/* Whether it is a disk's file and nothing else, in no bundle. */
gboolean ingot_bundle_is_disk(const IngotBundle *bundle);
/* FALSE and INVALID: it is several files, in a folder or beside a descriptor or the text of a VMDK, of which no one
 * digest tells. */
gboolean ingot_bundle_is_one_file(const IngotBundle *bundle, GError **error);
/* FALSE and INVALID: it has several disks, of which `verb` takes one. */
gboolean ingot_bundle_has_one_disk(const IngotBundle *bundle, const char *verb, GError **error);
/* A disk as a qcow2 file of its own: over what is at path. Runs qemu-img. */
gboolean ingot_bundle_convert(const IngotBundle *bundle, guint number, const char *path, GError **error);

/* Looks at the first disk for what of its machine nothing else has told: its firmware, and its architecture. */
gboolean ingot_bundle_look(IngotBundle *bundle, IngotBlocks *first, GError **error);
/* What its machine is called to be of ("amd64" where nothing tells). */
const char *ingot_bundle_architecture(const IngotBundle *bundle);
/* The same, but NULL where nothing tells: then it is taken for amd64. */
const char *ingot_bundle_told_architecture(const IngotBundle *bundle);
/* For which provider it is a Vagrant box ("vmware" for all of VMware's); NULL: it is none. */
const char *ingot_bundle_provider(const IngotBundle *bundle);
/* Sets what is known of the machine in an image's config, or in a part of one: "architecture"; "firmware" where it
 * boots by UEFI alone; "bus" of each of its disks, from the config's number `from` on, where it is not SATA; of a box,
 * "vagrant": {"provider", "vagrantfile", "info"}. */
void ingot_bundle_describe(const IngotBundle *bundle, json_t *config, guint from);

G_END_DECLS

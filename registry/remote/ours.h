/* What a registry of Ingot's knows besides the distribution-spec: frames, and pages of its own. */
#pragma once

#include <ingot/remote.h>

#include "base/json.h"

/* What is done while a registry works out the digest of a disk that was sent to it: other requests of the same remote.
 * run returns FALSE with an error to end the push. */
typedef struct {
    gboolean (*run)(gpointer user, GError **error);
    gpointer user;
} IngotMeanwhile;

/* A folder in which ingot_remote_put_disk keeps what it needs to go on after a push was killed; without one it begins
 * anew. */
void ingot_remote_keep_uploads(IngotRemote *remote, const char *folder);

/* As ingot_remote_put_blob, of a packed disk by its index: where the registry is Ingot's it is told the frames and sent
 * those alone that it lacks; any other, and one that refuses, is sent the whole. The frames' digests that the index
 * does not know are worked out, and known from then on; of those that the registry refuses none is. *sent (may be NULL)
 * counts bytes of bodies. meanwhile (may be NULL) is called at most once, and only where the registry has something to
 * work out. */
gboolean ingot_remote_put_disk(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotIndex *index, const IngotMeanwhile *meanwhile, IngotProgress *progress,
                               guint64 *sent, GError **error);

/* The frames that a registry of Ingot's keeps a blob as: 36 bytes for each, its SHA-256 and its length (u32
 * little-endian), in order; *frames NULL where it tells none. One that has no time for the list now is no such one:
 * FALSE. */
gboolean ingot_remote_get_frames(IngotRemote *remote, const char *name, const IngotDigest *digest, GBytes **frames,
                                 GError **error);

/* What a registry of Ingot's says of the manifest that was asked for last, whether it gave it or not, and of a base
 * that this stands on, as image/lifecycle.h has it; NULL: nothing. It belongs to the remote. */
const json_t *ingot_remote_said(const IngotRemote *remote);
const json_t *ingot_remote_said_of_base(const IngotRemote *remote);
/* Whether the tag that ingot_remote_find_tag looked at last is said to be a channel whose image goes out in phases.
 * Whatever stands between may have dropped that. */
gboolean ingot_remote_is_phased(const IngotRemote *remote);
/* Puts a manifest under a tag that names `before` now (NULL: that is not there); EXISTS where the registry looks at
 * that and the tag names something else by now, or may not be moved to this. Other registries put it in any case. */
gboolean ingot_remote_replace_manifest(IngotRemote *remote, const char *name, const char *tag, const void *data,
                                       gsize size, const char *media_type, const IngotDigest *before, GError **error);

/* Of an index, the images of which architecture are meant: the options', else this machine's. */
const char *ingot_remote_architecture(const IngotRemote *remote);
/* The manifest is given although it is withheld, from now on: for whoever describes it or copies it with what is said.
 */
void ingot_remote_allow(IngotRemote *remote);

/* What the registry has at a path of its own ("/vagrant/team/web"), at most limit bytes of it. */
GBytes *ingot_remote_get_path(IngotRemote *remote, const char *path, gsize limit, GError **error);

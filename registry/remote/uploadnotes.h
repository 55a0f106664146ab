/* Notes of uploads: where the push of a disk stands at a registry of Ingot's, so that one that was killed is gone on
 * with and no frame goes twice.
 *
 * A note is a file of the folder that ingot_remote_keep_uploads names, one for each registry, repository and disk. It
 * is a hint: the registry says how much it has, and still checks the whole. */
#pragma once

#include <ingot/manifest.h>
#include <ingot/remote.h>

typedef struct {
    char *location;  /* of the upload */
    GBytes *missing; /* the registry's answer to the list of frames: a bit for each */
} UploadNote;

void upload_note_free(UploadNote *note);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UploadNote, upload_note_free)

void upload_note_keep(const IngotRemote *remote, const char *name, const IngotDigest *blob, const char *location,
                      const void *missing, gsize size);
/* Of so many bytes of bits; NULL: there is none. */
UploadNote *upload_note_load(const IngotRemote *remote, const char *name, const IngotDigest *blob, gsize size);
void upload_note_drop(const IngotRemote *remote, const char *name, const IngotDigest *blob);

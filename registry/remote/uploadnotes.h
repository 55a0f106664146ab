/* Notes of uploads: where the push of a disk stands at a registry of Ingot's, so that one that was killed is gone on
 * with and no frame goes twice.
 *
 * A note is a file of the folder that ingot_remote_keep_uploads names, one for each registry, repository and disk. Its
 * lock is held for as long as the push lives, so that nobody goes on with an upload whose push still does: of two side
 * by side the second has no note. It is a hint: the registry says how much it has, and still checks the whole. */
#pragma once

#include <ingot/manifest.h>
#include <ingot/remote.h>

typedef struct UploadNote UploadNote;

/* The note of a push, which is to be freed when that ends. NULL: none are kept, or another push has it. */
UploadNote *upload_note_open(const IngotRemote *remote, const char *name, const IngotDigest *blob);
/* One that says nothing goes. */
void upload_note_free(UploadNote *note);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UploadNote, upload_note_free)

/* The following do nothing where note is NULL. */

/* Where the upload is, and the registry's answer to the list of frames, a bit for each. */
void upload_note_write(UploadNote *note, const char *location, const void *missing, gsize size);
/* The same, of so many bytes of bits; free both. FALSE: it says nothing. */
gboolean upload_note_read(const UploadNote *note, const IngotRemote *remote, gsize size, char **location,
                          guint8 **missing);
void upload_note_empty(UploadNote *note);

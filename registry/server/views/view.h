/* Views: an image of a repository as the files of some format, worked out while they are read; no copy is kept. What
 * had to be measured for that, or was summed up, is (storage_measure).
 *
 * A view reads from the blob's pieces, which are checked before a byte is used: damage is an error, never other bytes.
 * An image that is disabled or revoked (channel/announce.h) has none: REFUSED. The same image, format and file are the
 * same bytes for as long as this version of Ingot serves them. Thread safe. */
#pragma once

#include <ingot/format.h>

#include "server/storage/storage.h"
#include "server/views/image.h"

typedef struct Views Views;
typedef struct View View;

/* Decoded chunks are kept in the folder, so many bytes (unpacked.h). */
Views *views_new(Storage *storage, const char *folder, guint64 max_unpacked);
void views_free(Views *views);

/* The formats that an image can have: GPtrArray of IngotFormat *, free it. NOT_FOUND: there is no such image, or it is
 * no image of Ingot's. */
GPtrArray *views_formats(Views *views, const char *name, const char *reference, GError **error);
/* The files of a format: GPtrArray of IngotFormatFile, free it. NOT_FOUND: there is no such image, or it is no image of
 * Ingot's; INVALID: there is no such format, or the image can't have it. digest receives the manifest's. */
GPtrArray *views_files(Views *views, const char *name, const char *reference, const char *format, IngotDigest *digest,
                       GError **error);
/* One of them, to be read; free it with view_unref. Neither measures anything: VIEW_ERROR_UNMEASURED (image.h). */
View *views_open(Views *views, const char *name, const char *reference, const char *format, const char *file,
                 GError **error);
/* Whether the repository has the image (NOT_FOUND) and it is not withheld (REFUSED). */
gboolean views_may_be_seen(Views *views, const char *name, const IngotDigest *manifest, GError **error);
/* The same image, whose disk may lack (image->read NULL) where an upstream has it; unref it. Whether it may be seen is
 * the caller's to ask. */
ViewImage *views_described(Views *views, const char *name, const IngotDigest *manifest, GError **error);
Storage *views_storage(const Views *views);
/* An image, for those who measure it; unref it. */
ViewImage *views_image(Views *views, const char *name, const char *reference, GError **error);
View *view_ref(View *view);
void view_unref(View *view);
/* Somebody gets its image by it, which counts as a pull; looking at what there is of an image does not. */
void view_note_pull(const View *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(View, view_unref)

guint64 view_size(const View *view);
const char *view_tag(const View *view); /* its entity tag, in quotes */
/* Up to size bytes from offset, at least one; 0 at the end; -1: an error. */
gssize view_read(View *view, guint64 offset, void *buffer, gsize size, GError **error);
/* Whether the range is one run of a file, ready to be sent: *fd (the caller's: close it) has it at *at. */
gboolean view_run(View *view, guint64 offset, guint64 length, int *fd, guint64 *at);
/* Images that were removed are kept no longer: their room on the disk comes back. To be called now and then. */
void views_let_go(Views *views);
/* Bytes that are kept of all views. */
guint64 views_unpacked(Views *views);
/* The SHA-256 of the whole file; VIEW_ERROR_UNMEASURED: it is not known yet. */
gboolean view_digest(View *view, IngotDigest *digest, GError **error);

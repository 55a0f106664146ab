/* One tag for images of several architectures: an OCI image index (image-spec 1.1, "Image Index") whose entries say
 * which platform each is for. */
#pragma once

#include <ingot/remote.h>

/* An image of Ingot's that the repository has. */
typedef struct {
    IngotDescriptor manifest;
    const char *architecture; /* a word of image/architecture.h */
} IndexedImage;

/* INVALID: two of them are for one architecture. */
gboolean indexed_check(const IndexedImage *images, guint count, GError **error);
/* Puts such an index under the tag of `where`. add: what the tag names, an image or an index, stays in it; one given
 * here takes the place of that of its architecture, or comes last. It is made on what the tag names at the time: who is
 * overtaken by another adds to what that one has put (remote/together.h says how far that goes). What is there and is
 * no image or index is not replaced (INVALID). *index: what the tag names then. */
gboolean indexed_put(IngotRemote *remote, const IngotReference *where, const IndexedImage *images, guint count,
                     gboolean add, IngotDescriptor *index, GError **error);

/* An image of a repository, as far as its views need it: config, disk, and how it is laid out in the formats that were
 * asked for. Counted by references; thread safe. */
#pragma once

#include <ingot/format.h>

#include "server/storage/storage.h"
#include "server/views/unpacked.h"

typedef struct {
    gatomicrefcount references;
    Storage *storage;
    IngotDigest manifest;
    char *name;
    json_t *config;
    IngotDisk *disk;        /* to be measured: nothing of it is kept */
    IngotDisk *read;        /* to be read by clients */
    UnpackedDisk *unpacked; /* what is kept of that */
    IngotFormatKeeper keeper;
    GMutex measuring;    /* one at a time: the next finds what the first has kept */
    GMutex lock;         /* taken last */
    GHashTable *formats; /* IngotFormat -> GPtrArray of IngotFormatFile: laid out once */
} ViewImage;

/* NOT_FOUND: there is no such image, or it is no image of Ingot's. */
ViewImage *view_image_load(Storage *storage, Unpacked *unpacked, const char *name, const IngotDigest *manifest,
                           GError **error);
ViewImage *view_image_ref(ViewImage *image);
void view_image_unref(ViewImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ViewImage, view_image_unref)

/* What its formats are made from; the image's own. */
IngotFormatInput view_image_input(const ViewImage *image);
/* The files of a format, laid out once; unref it. */
GPtrArray *view_image_files(ViewImage *image, const IngotFormat *format, GError **error);
/* The SHA-256 of one of them. */
gboolean view_image_digest(ViewImage *image, const IngotFormat *format, const IngotFormatFile *file,
                           IngotDigest *digest, GError **error);
/* Whether it says that it was made ready for a format, or says nothing of that. */
gboolean view_image_is_for(const ViewImage *image, const char *format);

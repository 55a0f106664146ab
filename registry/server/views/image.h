/* An image of a repository, as far as its views need it: config, disk, and how it is laid out in the formats that were
 * asked for. Counted by references; thread safe. */
#pragma once

#include <ingot/format.h>

#include "server/storage/storage.h"
#include "server/views/unpacked.h"

#define VIEW_ERROR (view_error_quark())
GQuark view_error_quark(void);
/* A pass over the whole disk comes first (view_image_measure). */
#define VIEW_ERROR_UNMEASURED 1
/* The images that are in use take all the memory that images may: the client is to come again. */
#define VIEW_ERROR_BUSY 2

/* Bytes of memory that the configs, indexes and layouts of all images may take, also of those that clients read and
 * nobody keeps, and of those that are still being read. */
#define VIEW_IMAGES_MAX ((gsize)768 << 20)

/* One of its disks. */
typedef struct {
    IngotDigest digest; /* the blob's */
    IngotIndex *index;
    StorageBlob *blob;      /* NULL: it is not here */
    UnpackedDisk *unpacked; /* what is kept of it; NULL: likewise */
} ViewDisk;

typedef struct {
    gatomicrefcount references;
    Storage *storage;
    IngotDigest manifest;
    char *name;
    json_t *config;
    GArray *disks;     /* of ViewDisk */
    IngotDisk *closed; /* reading it is VIEW_ERROR_UNMEASURED: for what is laid out without a pass over it */
    IngotDisk *read;   /* to be read by clients; NULL: not all of its disks are here: it is neither read nor measured */
    IngotFormatKeeper keeper;
    gsize described;     /* bytes that its config takes */
    GMutex lock;         /* of what follows, once it is loaded */
    gsize parsed;        /* bytes of VIEW_IMAGES_MAX */
    gsize laid;          /* bytes that its formats take */
    GHashTable *formats; /* IngotFormat -> GPtrArray of IngotFormatFile: laid out once */
} ViewImage;

/* NOT_FOUND: there is no such image, or it is no image of Ingot's; VIEW_ERROR_BUSY. whole: its disk too; else that
 * may lack, where an upstream has it. */
ViewImage *view_image_load(Storage *storage, Unpacked *unpacked, const char *name, const IngotDigest *manifest,
                           gboolean whole, GError **error);
ViewImage *view_image_ref(ViewImage *image);
void view_image_unref(ViewImage *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ViewImage, view_image_unref)

/* Whether all of its disks are in the storage by now; what it was loaded without, it does not get. */
gboolean view_image_has_come(const ViewImage *image, GError **error);
/* Where a run of its disks (joined: disk.h) is kept ready to be sent: as unpacked_disk_run, *at is in that file. */
gboolean view_image_run(const ViewImage *image, guint64 offset, guint64 size, int *fd, guint64 *at);
/* Bytes of memory that it takes, about. */
gsize view_image_memory(ViewImage *image);
/* Whether it can have a format. */
gboolean view_image_can(const ViewImage *image, const IngotFormat *format, GError **error);
/* The files of a format, laid out once; unref it. VIEW_ERROR_UNMEASURED: their sizes are not known yet. */
GPtrArray *view_image_files(ViewImage *image, const IngotFormat *format, GError **error);
/* The SHA-256 of one of them; VIEW_ERROR_UNMEASURED: it is not known yet. */
gboolean view_image_digest(ViewImage *image, const IngotFormat *format, const IngotFormatFile *file,
                           IngotDigest *digest, GError **error);
/* Works out and keeps what both of these need; sums: the second too. It may take minutes; the gate ends it early. */
gboolean view_image_measure(ViewImage *image, const IngotFormat *format, gboolean sums, IngotDiskGate gate,
                            gpointer user, GError **error);
/* Whether it says that it was made ready for a format, or says nothing of that. */
gboolean view_image_is_for(const ViewImage *image, const char *format);

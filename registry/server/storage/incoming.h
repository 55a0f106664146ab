/* What an upload is while its bytes come. Nobody but upload.c includes this.
 *
 * uploads/ID.pack is the segment that it will be: room for the head, then the bytes of the pieces that were not there
 * before. uploads/ID.list has an entry for each piece that has come to its end, so that an upload can go on after a
 * restart from the last of them. Whoever calls these has the upload's lock, or alone knows of it. */
#pragma once

#include "server/storage/offer.h"
#include "server/storage/upload.h"

struct Upload {
    gatomicrefcount references;
    GMutex lock; /* one request at a time */
    Storage *storage;
    char *id, *pack, *list; /* paths */
    int pack_fd, list_fd;   /* -1: closed for now */
    guint64 size;           /* of the blob so far */
    guint64 fresh;          /* bytes of new pieces that are whole */
    guint64 reserved;       /* of them, that storage->incoming has */
    IngotHasher *whole;     /* of the blob */
    Splitter splitter;
    Table *table;
    GHashTable *own;   /* digest -> Own: new pieces of this upload */
    gint64 leased;     /* when its lease was renewed (seconds); 0: it counts on nothing that it has not brought */
    Offer *offer;      /* the frames are told, and the missing ones alone come; NULL: bytes come as they are */
    gboolean rests;    /* its files tell what has come; nobody has read them yet */
    gboolean complete; /* its offer's table and the blob's digest are known */
    gboolean ended;    /* finished, dropped or failed: its file may be a pack by now */

    /* The running piece. */
    IngotHasher *hasher;
    GByteArray *buffer;      /* its bytes that are not in the file */
    guint32 length, written; /* bytes of it in all, and in the file */
};
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upload, upload_unref)

/* Its files are not open. */
Upload *upload_new(Storage *storage, const char *id);
/* Opens the files that are closed; flags: O_CREAT | O_EXCL for a new upload's. */
gboolean upload_open(Upload *upload, int flags, GError **error);
void upload_close(Upload *upload);

/* Before it counts on a piece that is here: holds its lease. */
gboolean upload_hold(Upload *upload, GError **error);
/* Bytes that come, in order. */
gboolean upload_take(Upload *upload, const guint8 *data, gsize size, GError **error);
/* The running piece ends here. */
gboolean upload_end_piece(Upload *upload, GError **error);
/* Of one that rests: takes in again what the list tells, up to the first entry that is not as it says. */
gboolean upload_recover(Upload *upload, GError **error);

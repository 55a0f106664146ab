/* What an upload is while its bytes come. Nobody but the files of uploads includes this (upload.c, session.c,
 * resume.c).
 *
 * uploads/ID.pack is the segment that it will be: room for the head, then the bytes of the pieces that were not there
 * before. uploads/ID.list has an entry for each piece that has come to its end; of an offer uploads/ID.frames has one
 * for each frame from its beginning on. Its row in the catalogue tells from time to time how far all of that counts
 * (resume.h). One that is brief belongs to one request of this process: it has neither list nor row, and ends with it.
 * Whoever calls these has the upload's lock, or alone knows of it. */
#pragma once

#include "server/storage/midsum.h"
#include "server/storage/offer.h"
#include "server/storage/upload.h"

typedef struct LongSum LongSum; /* longsum.c */

struct Upload {
    gatomicrefcount references;
    GMutex lock; /* one request at a time */
    Storage *storage;
    char *id, *pack, *list, *frames; /* paths */
    char *name, *user;               /* the repository that it goes to; who sends it, NULL: not known */
    gboolean brief;
    guint turn;           /* of the request whose bytes are taken; 0: of none that has begun */
    int pack_fd, list_fd; /* -1: closed for now */
    gint64 leased;        /* when its lease was renewed (seconds); 0: it counts on nothing that it has not brought */
    guint64 reserved;     /* bytes of it that storage->incoming has */
    gboolean stored;      /* its blob is there; its row and its lease are not any more */
    gboolean ended;       /* finished or dropped: its file may be a pack by now */
    gint64 lapses;        /* when it goes, since the disk is full (seconds); 0: as its row says */
    gint summing;         /* atomic: all of it is being read, which takes long; nobody waits for its lock meanwhile */
    gint busy;            /* atomic: requests that work on it (atrest.h) */
    gsize weight;         /* atomic: bytes of memory, about, while it is at rest; else 0 */
    gsize held;           /* atomic: the same of its offer while that is worked on; else 0 */
    guint64 network;      /* of who brings it; 0: not known. Under uploads_lock */
    gboolean ready;       /* what follows is what has come of it; else that has to be read first */

    guint64 size;  /* bytes that came */
    guint64 fresh; /* bytes of new pieces that are whole */
    Table *table;
    GHashTable *own;  /* digest -> Own: new pieces of this upload */
    Midsum whole;     /* of the blob */
    Sha512 *sha512;   /* of the blob too; NULL: nobody asked for it at the start, or not all bytes went in */
    LongSum *longsum; /* the same worked out at the end; NULL: it was not asked for yet */
    Splitter splitter;
    Midsum listed;     /* of the list's entries */
    gboolean offered;  /* the frames are told, and the missing ones alone come */
    Offer *offer;      /* these frames; NULL: bytes come as they are */
    gboolean complete; /* its offer's table and the blob's digest are known */
    Proven proven;     /* of that table, since it was ended by another digest */
    guint64 checked;   /* reserved when it was last compared with the quota */
    gboolean refused;  /* there was no room for more */

    /* As they were at the last piece's end. */
    Midsum whole_then;
    Splitter splitter_then;

    gboolean changed;  /* since it was kept */
    guint64 kept_size; /* size when it was kept last */
    guint64 kept_end;  /* bytes of its file, behind the head, that were kept then */
    gint64 kept_time;  /* seconds */
    guint64 under_way; /* bytes of its file, behind the head, that are on their way to the disk */

    /* The running piece. */
    Midsum sum;
    GByteArray *buffer;      /* its bytes that are not in the file */
    guint32 length, written; /* bytes of it in all, and in the file */
};
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upload, upload_unref)

/* An entry of the list. */
typedef struct {
    IngotDigest digest;
    guint32 length, fresh; /* little-endian */
} __attribute__((packed)) UploadEntry;

/* A new piece of an upload, and where it stands among them. */
typedef struct {
    IngotDigest digest; /* first: the key */
    guint64 offset;
} UploadOwn;

/* Nothing has come of it; its files are not open. */
Upload *upload_new(Storage *storage, const char *id);
/* Forgets what has come of it; whoever goes on with it reads its files first. That of new pieces stays open: it may be
 * locked. */
void upload_reset(Upload *upload);
gboolean upload_open_pack(Upload *upload, GError **error);
/* Whether its file, which is open, is a pack too: then it is never written to. */
gboolean upload_is_pack(const Upload *upload);
/* Opens the files that are closed; flags: O_CREAT | O_EXCL for a new upload's. NOT_FOUND: there are none. */
gboolean upload_open(Upload *upload, int flags, GError **error);
void upload_close(Upload *upload);

/* Before it counts on a piece that is here: holds its lease. */
gboolean upload_hold(Upload *upload, GError **error);
/* Bytes that come, in order. */
gboolean upload_take(Upload *upload, const guint8 *data, gsize size, GError **error);
/* The running piece ends here. */
gboolean upload_end_piece(Upload *upload, GError **error);
/* Adds a piece that has come to its end to what is known of the upload, as the list tells of it. */
void upload_add_piece(Upload *upload, const IngotDigest *digest, guint32 length, gboolean fresh);
/* A list of its own for an offer's frames, in the place of that of pieces. */
gboolean upload_list_frames(Upload *upload, GError **error);
/* What is held of the running piece goes to the file. */
gboolean upload_flush(Upload *upload, GError **error);

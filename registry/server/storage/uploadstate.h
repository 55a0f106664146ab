/* What has come of an upload, in so few bytes that its row in the catalogue holds them: whoever goes on with it reads
 * neither what came nor what it counts on.
 *
 * It tells of the last piece's end, and of the part of the running piece that is in the upload's file behind it. It has
 * a version, and a checksum over all of it and the upload's id: bytes that are not what was written, of another upload
 * or of another version are refused. */
#pragma once

#include "server/packs/splitter.h"
#include "server/storage/midsum.h"

typedef struct {
    guint64 size;       /* bytes that came, up to the last piece's end */
    guint64 fresh;      /* of new pieces, in the upload's file */
    guint32 pieces;     /* entries of its list that count */
    IngotDigest list;   /* of those entries */
    Midsum whole;       /* of the blob: up to the last piece's end; of an offer up to its frame `hashed` */
    Splitter splitter;  /* at the last piece's end */
    guint32 part;       /* bytes of the running piece */
    IngotDigest digest; /* of them */

    gboolean offered;    /* the list is that of an offer; what follows is of one */
    guint32 next;        /* the missing frame that comes */
    guint32 hashed;      /* frames that `whole` has */
    guint64 hashed_size; /* bytes of them */
} UploadState;

GBytes *upload_state_write(const UploadState *state, const char *id);
/* FALSE: refused. bytes may be NULL. */
gboolean upload_state_read(GBytes *bytes, const char *id, UploadState *state);

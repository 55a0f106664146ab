/* An upload of one blob: begun, sent, ended. What a registry says that it has of it is not sent again.
 *
 * A small blob goes in one request; a large one in pieces (PATCH), the first of which is all of it: where the
 * connection breaks off the registry is asked how far it came, and the next piece begins there. A registry that takes
 * no body of that length (413) gets shorter ones, as long as it takes them (OCI-Chunk-Min-Length); one that knows only
 * the one way is gone the other way. An end whose answer is lost is looked at: the blob may be there. */
#pragma once

#include "remote/http.h"
#include "remote/ours.h"
#include "remote/uploadnotes.h"

#define UPLOAD_ANSWER_MAX (64u << 10) /* bytes of an answer that is not wanted for itself */

typedef struct {
    const char *name; /* of the repository */
    char *location;   /* absolute; NULL: none is open */
    char *frames;     /* where to tell the frames; NULL: the registry does not know of them */
    Patience patience;
    guint64 counted, known;          /* bytes that progress has heard of: that were sent; that need not be */
    guint64 at, most;                /* where the next piece begins; the farthest that it ever did */
    guint64 piece, least;            /* bytes of a piece: at most, 0: as many as are left; at least */
    guint strays;                    /* pieces after which the registry was somewhere else than it should be */
    gboolean in_pieces, turned;      /* which way it goes; that it is not the first */
    gboolean again;                  /* it is not done: the registry wants another one */
    long refused;                    /* the status with which the registry has refused something of it; 0: none */
    const IngotMeanwhile *meanwhile; /* what is still to be done meanwhile; NULL: nothing */
    gboolean left;                   /* what was to be done meanwhile has failed */
    UploadNote *note;                /* the push's, of where it stands; NULL: it has none */
} Upload;

void upload_clear(Upload *upload);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Upload, upload_clear)

/* Begins one; the one before it is dropped. */
gboolean upload_begin(IngotRemote *remote, Upload *upload, GError **error);
/* Sets the error for a status that was not hoped for. Always FALSE. */
gboolean upload_refused(IngotRemote *remote, Upload *upload, const HttpExchange *exchange, GError **error);
/* Drops it, unless the registry is out of reach; problem becomes error. Always FALSE. */
gboolean upload_give_up(IngotRemote *remote, Upload *upload, GError *problem, GError **error);
/* *url: where a header of an answer leads; as it was where the answer has none. */
gboolean upload_take_location(const IngotRemote *remote, const HttpExchange *exchange, const char *header, char **url,
                              GError **error);
/* How much the registry says that it has: Range: 0-LAST. Of nothing it may say 0-0. FALSE: it does not say. */
gboolean upload_told_position(const HttpExchange *exchange, guint64 *at);
/* Where it ends. Free it. */
char *upload_end_url(const Upload *upload, const IngotDigest *digest);
/* Sends something of it; upload->again: the registry wants it later, and that has been waited for. */
gboolean upload_send(IngotRemote *remote, Upload *upload, HttpExchange *exchange, GError **error);
/* Ends it, where the registry has all of it. One that still hashes it says so, and is asked again. doubt: the registry
 * may have taken none of it; upload->again: it has not. */
gboolean upload_end(IngotRemote *remote, Upload *upload, const IngotDescriptor *blob, gboolean doubt,
                    IngotProgress *progress, GError **error);
/* The whole blob. begun: as the upload that is open, of which nothing was sent. */
gboolean upload_put(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob, gboolean begun,
                    IngotProgress *progress, GError **error);

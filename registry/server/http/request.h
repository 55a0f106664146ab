/* A request: what is asked, and the one answer that it gets.
 *
 * Who calls a function that answers returns what that returns, and answers no more. */
#pragma once

#include <glib.h>
#include <microhttpd.h>

#include "server/http/body.h"
#include "server/mirror/through.h"
#include "server/storage/storage.h"
#include "server/views/warm.h"

typedef struct {
    struct MHD_Connection *connection;
    char *method, *path;
    char *id; /* what the log and the client call it */
    Storage *storage;
    Through *through; /* NULL: there is no upstream */
    Views *views;
    Warm *warm;
    gint64 start;      /* monotonic, microseconds */
    guint64 received;  /* bytes of the body */
    guint64 sent;      /* bytes of the answer's body */
    guint status;      /* of the answer; 0: none yet */
    GByteArray *body;  /* a manifest's, or a list of frames */
    gsize body_max;    /* bytes of it; of a longer one the rest is counted and left out */
    char *upload;      /* id of the upload that the body goes to */
    guint64 upload_at; /* its size before */
    GError *failure;   /* while the body came */
    guint64 upload_max;
    struct MHD_Response *response; /* not yet given to the client: a worker's, or a refusal that waits */
    gboolean swallows;             /* a body is on its way that ends before an answer goes out */
    gboolean with_worker;          /* its answer is, or was, worked out there */

    struct Access *access; /* who may do what */
    struct Caller *caller; /* who asks: auth/door.h */
} Request;

const char *request_header(const Request *request, const char *name);
const char *request_query(const Request *request, const char *name);

/* An answer with a body (may be NULL) and headers: pairs of name and value ended by NULL. */
enum MHD_Result request_answer(Request *request, guint status, const char *type, const void *body, gsize size,
                               ...) G_GNUC_NULL_TERMINATED;
/* A range of a body. The body is yours no more. */
enum MHD_Result request_answer_body(Request *request, guint status, Body *body, guint64 offset, guint64 size,
                                    ...) G_GNUC_NULL_TERMINATED;
/* Several ranges of a body of that media type, which is yours no more, as multipart/byteranges: GArray of ByteRange. */
enum MHD_Result request_answer_parts(Request *request, Body *body, const GArray *ranges, const char *type,
                                     ...) G_GNUC_NULL_TERMINATED;
/* Whether the client has what the entity tag (in its quotes) names: If-None-Match, RFC 9110, section 13.1.2. */
gboolean request_has_already(const Request *request, const char *tag);
/* An error as the distribution-spec has it ("Error Codes"). */
enum MHD_Result request_refuse(Request *request, guint status, const char *code, const char *message);
/* The same from a GError: 404 NOT_FOUND, 507 where the disk is full, else 500; code is for NOT_FOUND. */
enum MHD_Result request_fail(Request *request, const char *code, const GError *error);

/* Vagrant Cloud's API: what `vagrant cloud`, Packer's post-processor vagrant-cloud and scripts for it ask for, under
 * /api/v1, /api/v2, and the same behind /vagrant where that is the address they were given. Reads are answered here;
 * changes by boxwrite.c, uploads by boxupload.c.
 *
 * An error is {"errors": ["…"], "success": false}. Who may pull may read, who may push may publish; what is released
 * can be removed by who may delete. */
#pragma once

#include "server/boxes/boxjson.h"
#include "server/boxes/boxlist.h"
#include "server/boxes/boxpath.h"
#include "server/http/request.h"

extern const Route box_api_routes[];

#define BOX_BODY_MAX (256u << 10) /* bytes: a description in Markdown may be long */

/* What a request is about. */
typedef struct {
    BoxPath *path;     /* NULL: it names no box */
    char *base, *from; /* as in BoxJson */
    gboolean waits;    /* it was found to wait for a box that comes, in what was kept as of `sequence` */
    guint64 sequence;  /* of the catalogue */
} BoxCall;

/* How an API writes what is answered. All that is returned is to be freed. */
typedef struct {
    json_t *(*error)(guint *status, const char *message); /* which may answer with another status */
    /* The part that the path names; NULL: there is none. */
    json_t *(*part)(const Request *request, const BoxJson *by, const BoxPath *path, const VagrantBox *box);
    /* The same, which is being removed. */
    json_t *(*removed)(const Request *request, const BoxJson *by, const BoxPath *path, const VagrantBox *box);
    /* An upload that has begun. asked: the architecture, as the path has it; NULL: it has none. */
    json_t *(*upload)(const BoxCall *call, const char *url, const char *asked, const char *id);
} BoxDialect;

enum { BOX_CLOUD, BOX_HCP }; /* Route.kind: whose API it is; what is no API's door answers as Vagrant Cloud's */
const BoxDialect *box_dialect(const Request *request);

/* Keeps a call; NULL: it is answered. */
BoxCall *box_call_begin(Request *request, const RouteMatch *match);
/* The right that the request needs there, and the answer to who lacks it. */
guint box_right(const Request *request, const BoxPath *path);
enum MHD_Result box_deny(Request *request, const char *name, guint right);

enum MHD_Result box_refuse(Request *request, guint status, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* From an error: 404, 422 for INVALID, 409 for EXISTS (Vagrant Cloud: 422), 413 for LIMIT, 507 or 500. */
enum MHD_Result box_fail(Request *request, const GError *error);
enum MHD_Result box_answer(Request *request, const json_t *body);
BoxJson box_call_json(const Request *request, const BoxCall *call);
/* The box as it is; NULL: it is answered, or the client has left (*result). */
BoxList *box_call_list(Request *request, const BoxCall *call, enum MHD_Result *result);
/* Answers with the part of it that the path names. */
enum MHD_Result box_tell(Request *request, const BoxCall *call);
/* GET and HEAD of what the path names. */
enum MHD_Result box_read(Request *request, const BoxCall *call);

/* The OCI distribution API 1.1: which request is which endpoint. */
#pragma once

#include "server/http/request.h"
#include "server/mirror/through.h"
#include "server/storage/storage.h"
#include "server/views/warm.h"

#define API_MANIFEST_MAX (4u << 20) /* bytes */
#define API_FRAMES_MAX (64u << 20)  /* bytes of a list of frames */
#define API_RANGES_MAX (64u << 10)  /* bytes of a list of ranges: 4096 of them */

/* The numbers of its routes (RouteMatch.kind). */
enum { API_ROOT, API_CATALOG, API_BLOB, API_UPLOADS, API_UPLOAD, API_MANIFEST, API_TAGS, API_REFERRERS, API_TOKEN };
/* /v2/NAME/KIND/REFERENCE: the reference is a digest, a tag or an upload's id. */
typedef RouteMatch ApiRoute;

extern const Route api_routes[];

enum MHD_Result api_blob(Request *request, const ApiRoute *route);
/* The pool that gives what is here of it: a long list of frames is no short read. */
Pool api_blob_pool(const Request *request, const ApiRoute *route);
/* A range that memory knows to be whole; nothing is answered where it does not. */
enum MHD_Result api_blob_quick(Request *request, const ApiRoute *route);
/* POST: the ranges of it that the body lists, one behind the other. */
enum MHD_Result api_blob_ranges(Request *request, const ApiRoute *route);
enum MHD_Result api_uploads(Request *request, const ApiRoute *route);
enum MHD_Result api_upload(Request *request, const ApiRoute *route);
/* An upload's Range; free it. */
char *api_upload_range(guint64 size);
enum MHD_Result api_upload_fail(Request *request, const GError *error);
/* From memory alone; nothing is answered where that is not enough. */
enum MHD_Result api_manifest_quick(Request *request, const ApiRoute *route);
enum MHD_Result api_manifest(Request *request, const ApiRoute *route);
enum MHD_Result api_tags(Request *request, const ApiRoute *route);
enum MHD_Result api_catalog(Request *request, const ApiRoute *route);
enum MHD_Result api_referrers(Request *request, const ApiRoute *route);
/* Finds what is attached, at the upstream too; its answer counts on that. */
Pool api_referrers_move(Request *request, const ApiRoute *route);

/* The answer to a digest of a request that is none, or could not be looked up. */
enum MHD_Result api_refuse_digest(Request *request, const GError *error);

/* The answer where something is not here: that it may be at the upstream, if that is open; else what request_fail
 * says. */
enum MHD_Result api_fail_there(Request *request, FetchOutcome outcome, const char *code, const GError *error);

/* Who asks, and the reason that the request gives (Ingot-Reason), for the log of events. It lives as long as the
 * request. */
StorageActor api_actor(const Request *request);

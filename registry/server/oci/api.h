/* The OCI distribution API 1.1: which request is which endpoint. */
#pragma once

#include "server/http/request.h"

#define API_MANIFEST_MAX (4u << 20) /* bytes */
#define API_FRAMES_MAX (64u << 20)  /* bytes of a list of frames */

/* When the head has come: says where the body goes, or answers at once. */
enum MHD_Result api_begin(Request *request);
/* When all has come. */
enum MHD_Result api_answer(Request *request);

/* A path's parts: /v2/NAME/KIND/REFERENCE. */
typedef struct {
    char *name;
    enum {
        API_ROOT,
        API_CATALOG,
        API_BLOB,
        API_UPLOADS,
        API_UPLOAD,
        API_MANIFEST,
        API_TAGS,
        API_REFERRERS,
        API_TOKEN
    } kind;
    char *reference; /* digest, tag or upload id; NULL where there is none */
} ApiRoute;
void api_route_clear(ApiRoute *route);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ApiRoute, api_route_clear)

/* The name of a path's endpoint, one of few: "blob", "manifest", …, or "other". It belongs to nobody. */
const char *api_route_name(const char *path);

enum MHD_Result api_blob(Request *request, const ApiRoute *route);
enum MHD_Result api_uploads(Request *request, const ApiRoute *route);
enum MHD_Result api_upload(Request *request, const ApiRoute *route);
enum MHD_Result api_manifest(Request *request, const ApiRoute *route);
enum MHD_Result api_tags(Request *request, const ApiRoute *route);
enum MHD_Result api_catalog(Request *request);
enum MHD_Result api_referrers(Request *request, const ApiRoute *route);

#include "server/oci/newupload.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/http/client.h"
#include "server/oci/api.h"
#include "server/server.h"

#define RETRY_AFTER "10" /* seconds */

static enum MHD_Result refuse_user(Request *request, const char *user)
{
    g_autofree char *message = g_strdup_printf("%s has %u uploads under way: finish them, or DELETE them", user,
                                               request->server->uploads_per_user);
    g_autoptr(json_t) body = json_pack("{s:[{s:s, s:s}]}", "errors", "code", "TOOMANYREQUESTS", "message", message);
    g_autofree char *text = ingot_json_canonical(body);
    return request_answer(request, MHD_HTTP_TOO_MANY_REQUESTS, "application/json", text, strlen(text),
                          MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER, NULL);
}

/* Of which algorithm the digest will be that ends it: the request brings it, or may say so. */
static gboolean read_algorithm(Request *request, gboolean *is_sha512, GError **error)
{
    OciDigest digest;
    const char *text = request_query(request, "digest"), *algorithm = request_query(request, "digest-algorithm");
    *is_sha512 = text != NULL && oci_digest_parse(text, &digest, NULL) && digest.is_sha512;
    return algorithm == NULL || oci_algorithm_parse(algorithm, is_sha512, error);
}

char *new_upload(Request *request, const char *name, gboolean brief, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    const char *user = api_actor(request).name;
    gboolean is_sha512;
    if (!read_algorithm(request, &is_sha512, &error)) {
        *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
        return NULL;
    }
    guint most = request->server->uploads_per_user, count = 0;
    gboolean ok = most == 0 || user == NULL || storage_upload_count(storage, user, &count, &error);
    if (ok && most > 0 && count >= most) {
        *result = refuse_user(request, user);
        return NULL;
    }
    const StorageUpload about = {
        .name = name, .user = user, .network = client_network(request), .brief = brief, .sha512 = is_sha512};
    char *id = ok ? storage_upload_new(storage, &about, &error) : NULL;
    if (id == NULL) {
        *result = g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)
                      ? request_refuse_busy(request, error->message)
                      : request_fail(request, "BLOB_UPLOAD_INVALID", error);
    }
    return id;
}

#include "server/oci/newupload.h"

#include <ingot/error.h>
#include <ingot/json.h>
#include <string.h>

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

char *new_upload(Request *request, const char *name, gboolean brief, enum MHD_Result *result)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    const char *user = api_actor(request).name;
    guint most = request->server->uploads_per_user, count = 0;
    gboolean ok = most == 0 || user == NULL || storage_upload_count(storage, user, &count, &error);
    if (ok && most > 0 && count >= most) {
        *result = refuse_user(request, user);
        return NULL;
    }
    char *id =
        ok ? storage_upload_new(storage, &(StorageUpload){.name = name, .user = user, .brief = brief}, &error) : NULL;
    if (id == NULL) {
        *result = g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)
                      ? request_refuse_busy(request, error->message)
                      : request_fail(request, "BLOB_UPLOAD_INVALID", error);
    }
    return id;
}

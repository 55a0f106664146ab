/* Lists: repositories, tags, referrers. The first two by pages: n, last, and a Link to the next. */
#include <ingot/error.h>
#include <ingot/json.h>
#include <stdlib.h>
#include <string.h>

#include "server/oci/api.h"

/* The part of a sorted list that was asked for; *link (free it) leads to the next, where there is one. */
static json_t *page(Request *request, char **all, char **link)
{
    const char *last = request_query(request, "last"), *n = request_query(request, "n");
    guint64 most = n == NULL ? G_MAXUINT64 : g_ascii_strtoull(n, NULL, 10);
    json_t *list = json_array();
    guint i = 0;
    while (last != NULL && all[i] != NULL && strcmp(all[i], last) <= 0) {
        i++;
    }
    for (; all[i] != NULL && json_array_size(list) < most; i++) {
        json_array_append_new(list, json_string(all[i]));
    }
    if (all[i] != NULL && json_array_size(list) > 0) {
        g_autofree char *from = g_uri_escape_string(all[i - 1], NULL, FALSE);
        *link = g_strdup_printf("<%s?n=%" G_GUINT64_FORMAT "&last=%s>; rel=\"next\"", request->path, most, from);
    }
    return list;
}

static enum MHD_Result answer(Request *request, const json_t *body, const char *type, const char *header,
                              const char *value)
{
    g_autofree char *text = ingot_json_canonical(body);
    return request_answer(request, MHD_HTTP_OK, type, text, strlen(text), header, value, NULL);
}

enum MHD_Result api_tags(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) tags = storage_tags(request->storage, route->name, &error);
    if (tags == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autofree char *link = NULL;
    g_autoptr(json_t) body = json_pack("{s:s, s:o}", "name", route->name, "tags", page(request, tags, &link));
    return answer(request, body, "application/json", "Link", link);
}

enum MHD_Result api_catalog(Request *request)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) names = storage_repositories(request->storage, &error);
    if (names == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autofree char *link = NULL;
    g_autoptr(json_t) body = json_pack("{s:o}", "repositories", page(request, names, &link));
    return answer(request, body, "application/json", "Link", link);
}

/* A referrer's descriptor, as distribution-spec 1.1 has it ("Listing Referrers"); NULL: not of that type. */
static json_t *descriptor(Request *request, const char *name, const char *text, const char *wanted)
{
    IngotDigest digest;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes =
        ingot_digest_parse(text, &digest, NULL) ? storage_manifest(request->storage, name, &digest, &type, NULL) : NULL;
    g_autoptr(json_t) manifest =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text, NULL);
    if (manifest == NULL) {
        return NULL;
    }
    const char *artifact = json_string_value(json_object_get(manifest, "artifactType"));
    if (artifact == NULL) {
        artifact = json_string_value(json_object_get(json_object_get(manifest, "config"), "mediaType"));
    }
    if (wanted != NULL && g_strcmp0(artifact, wanted) != 0) {
        return NULL;
    }
    json_t *one =
        json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", text, "size", (json_int_t)g_bytes_get_size(bytes));
    ingot_json_set_string(one, "artifactType", artifact);
    if (json_is_object(json_object_get(manifest, "annotations"))) {
        json_object_set(one, "annotations", json_object_get(manifest, "annotations"));
    }
    return one;
}

enum MHD_Result api_referrers(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest subject;
    if (!ingot_digest_parse(route->reference, &subject, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
    }
    const char *wanted = request_query(request, "artifactType");
    g_auto(GStrv) all = storage_referrers(request->storage, route->name, &subject, &error);
    if (all == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autoptr(json_t) list = json_array();
    for (guint i = 0; all[i] != NULL; i++) {
        json_t *one = descriptor(request, route->name, all[i], wanted);
        if (one != NULL) {
            json_array_append_new(list, one);
        }
    }
    static const char type[] = "application/vnd.oci.image.index.v1+json";
    g_autoptr(json_t) body = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", type, "manifests", list);
    return answer(request, body, type, "OCI-Filters-Applied", wanted == NULL ? NULL : "artifactType");
}

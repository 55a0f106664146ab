/* Lists: repositories, tags, referrers. The first two by pages: n, last, and a Link to the next; the referrers where
 * they are too many for one answer. */
#include <ingot/error.h>
#include <ingot/json.h>
#include <stdlib.h>
#include <string.h>

#include "server/auth/access.h"
#include "server/oci/api.h"
#include "server/server.h"

#define INDEX_TYPE "application/vnd.oci.image.index.v1+json"
#define REFERRERS_MAX (API_MANIFEST_MAX - 1024) /* bytes of descriptors; the rest is for what stands around them */

/* The order of distribution-spec ("Listing Tags"): letter case decides only between what is else the same. */
static int compare(const char *a, const char *b)
{
    int order = g_ascii_strcasecmp(a, b);
    return order != 0 ? order : strcmp(a, b);
}

static int by_name(const void *a, const void *b)
{
    return compare(*(char *const *)a, *(char *const *)b);
}

/* The part of a sorted list that was asked for; *link (free it) leads to the next, where there is one. */
static json_t *page(Request *request, char **all, guint64 most, char **link)
{
    const char *last = request_query(request, "last");
    json_t *list = json_array();
    guint i = 0;
    while (last != NULL && all[i] != NULL && compare(all[i], last) <= 0) {
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

static GBytes *list_bytes(const json_t *body)
{
    char *text = ingot_json_canonical(body);
    return g_bytes_new_take(text, strlen(text));
}

/* Puts the names that were asked for into the body. */
static enum MHD_Result answer_page(Request *request, json_t *body, const char *key, char **all)
{
    const char *n = request_query(request, "n");
    guint64 most = G_MAXUINT64;
    if (n != NULL && !g_ascii_string_to_unsigned(n, 10, 0, G_MAXUINT64, &most, NULL)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "n is no number");
    }
    g_autofree char *link = NULL;
    qsort(all, g_strv_length(all), sizeof *all, by_name);
    json_object_set_new(body, key, page(request, all, most, &link));
    g_autoptr(GBytes) bytes = list_bytes(body);
    return request_answer_bytes(request, MHD_HTTP_OK, "application/json", bytes, "Link", link, NULL);
}

enum MHD_Result api_tags(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) tags = through_tags(request->server->through, route->name,
                                      storage_tags(request->server->storage, route->name, &error));
    if (tags == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autoptr(json_t) body = json_pack("{s:s}", "name", route->name);
    return answer_page(request, body, "tags", tags);
}

/* Takes out what the caller may not pull. */
static void keep_allowed(const Request *request, char **names)
{
    guint kept = 0;
    for (guint i = 0; names[i] != NULL; i++) {
        if (access_lists(request, names[i])) {
            names[kept++] = names[i];
        } else {
            g_free(names[i]);
        }
    }
    names[kept] = NULL;
}

enum MHD_Result api_catalog(Request *request, const ApiRoute *route)
{
    (void)route;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) names = storage_repositories(request->server->storage, &error);
    if (names == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    names = through_names(request->server->through, names);
    keep_allowed(request, names);
    g_autoptr(json_t) body = json_object();
    return answer_page(request, body, "repositories", names);
}

/* A referrer's descriptor, as distribution-spec 1.1 has it ("Listing Referrers"); NULL: not of that type. */
static json_t *descriptor(Request *request, const char *name, const char *text, const char *wanted)
{
    IngotDigest digest;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = ingot_digest_parse(text, &digest, NULL)
                                  ? storage_manifest(request->server->storage, name, &digest, &type, NULL)
                                  : NULL;
    g_autoptr(json_t) manifest =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text, NULL);
    if (manifest == NULL) {
        return NULL;
    }
    const char *artifact = json_string_value(json_object_get(manifest, "artifactType"));
    if (artifact == NULL || *artifact == '\0') {
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

static char *next_referrers(const Request *request, const json_t *list, const char *wanted)
{
    const json_t *last = json_array_get(list, json_array_size(list) - 1);
    g_autofree char *filter = wanted == NULL ? NULL : g_uri_escape_string(wanted, NULL, FALSE);
    return g_strdup_printf("<%s?last=%s%s%s>; rel=\"next\"", request->path,
                           json_string_value(json_object_get(last, "digest")),
                           filter == NULL ? "" : "&artifactType=", filter == NULL ? "" : filter);
}

/* As many referrers as an index may hold, as it is a manifest; *link (free it) leads to the others. */
static json_t *referrers(Request *request, const char *name, char **all, const char *wanted, char **link)
{
    const char *last = request_query(request, "last");
    json_t *list = json_array();
    gsize size = 0;
    for (guint i = 0; all[i] != NULL && *link == NULL; i++) {
        g_autoptr(json_t) one =
            last != NULL && strcmp(all[i], last) <= 0 ? NULL : descriptor(request, name, all[i], wanted);
        g_autofree char *text = one == NULL ? NULL : ingot_json_canonical(one);
        size += text == NULL ? 0 : strlen(text) + 1;
        if (size > REFERRERS_MAX && json_array_size(list) > 0) {
            *link = next_referrers(request, list, wanted);
        } else if (one != NULL) {
            json_array_append(list, one);
        }
    }
    return list;
}

enum MHD_Result api_referrers(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest subject;
    if (!ingot_digest_parse(route->reference, &subject, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message);
    }
    const char *wanted = request_query(request, "artifactType");
    wanted = wanted == NULL || *wanted == '\0' ? NULL : wanted;
    through_referrers(request->server->through, route->name, &subject);
    g_auto(GStrv) all = storage_referrers(request->server->storage, route->name, &subject, &error);
    if (all == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autofree char *link = NULL;
    g_autoptr(json_t) body = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", INDEX_TYPE, "manifests",
                                       referrers(request, route->name, all, wanted, &link));
    g_autoptr(GBytes) bytes = list_bytes(body);
    return request_answer_bytes(request, MHD_HTTP_OK, INDEX_TYPE, bytes, "OCI-Filters-Applied",
                                wanted == NULL ? NULL : "artifactType", "Link", link, NULL);
}

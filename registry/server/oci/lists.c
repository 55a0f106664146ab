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
#define REFERRERS_PAGE 1000                     /* of one answer: each is read for its annotations */
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

/* The link to the page behind a name. */
static char *next_page(const Request *request, guint64 most, const char *last)
{
    g_autofree char *from = g_uri_escape_string(last, NULL, FALSE);
    return g_strdup_printf("<%s?n=%" G_GUINT64_FORMAT "&last=%s>; rel=\"next\"", request->path, most, from);
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
        *link = next_page(request, most, all[i - 1]);
    }
    return list;
}

static GBytes *list_bytes(const json_t *body)
{
    char *text = ingot_json_canonical(body);
    return g_bytes_new_take(text, strlen(text));
}

static enum MHD_Result answer_list(Request *request, json_t *body, const char *key, json_t *list, const char *link)
{
    json_object_set_new(body, key, list);
    g_autoptr(GBytes) bytes = list_bytes(body);
    return request_answer_bytes(request, MHD_HTTP_OK, "application/json", bytes, "Link", link, NULL);
}

/* How many names were asked for; answers itself where that is no number. */
static gboolean read_most(Request *request, guint64 *most, enum MHD_Result *result)
{
    const char *n = request_query(request, "n");
    *most = G_MAXUINT64;
    if (n == NULL || g_ascii_string_to_unsigned(n, 10, 0, G_MAXUINT64, most, NULL)) {
        return TRUE;
    }
    *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "n is no number");
    return FALSE;
}

/* Puts the names that were asked for into the body. */
static enum MHD_Result answer_page(Request *request, json_t *body, const char *key, char **all)
{
    enum MHD_Result result = MHD_YES;
    guint64 most;
    if (!read_most(request, &most, &result)) {
        return result;
    }
    g_autofree char *link = NULL;
    qsort(all, g_strv_length(all), sizeof *all, by_name);
    json_t *list = page(request, all, most, &link);
    return answer_list(request, body, key, list, link);
}

/* Our own tags alone: no more are read than were asked for, and one that says whether there are others. */
static enum MHD_Result answer_tags(Request *request, const char *name, guint64 most)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *link = NULL;
    guint count = (guint)MIN(most, G_MAXUINT - 1);
    g_autoptr(GArray) versions =
        storage_versions(request->server->storage, name, request_query(request, "last"), count + 1, &error);
    if (versions == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    json_t *list = json_array();
    for (guint i = 0; i < versions->len && i < count; i++) {
        json_array_append_new(list, json_string(g_array_index(versions, StorageVersion, i).tag));
    }
    if (versions->len > count && count > 0) {
        link = next_page(request, most, g_array_index(versions, StorageVersion, count - 1).tag);
    }
    g_autoptr(json_t) body = json_pack("{s:s}", "name", name);
    return answer_list(request, body, "tags", list, link);
}

enum MHD_Result api_tags(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    gboolean told;
    enum MHD_Result result = MHD_YES;
    guint64 most;
    if (request->server->through == NULL) {
        return read_most(request, &most, &result) ? answer_tags(request, route->name, most) : result;
    }
    g_auto(GStrv) tags = through_tags(request->server->through, route->name,
                                      storage_tags(request->server->storage, route->name, &error), &told);
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

/* Adds the annotations that the manifest has. FALSE: it can't be read. */
static gboolean add_annotations(Request *request, const char *name, const StorageReferrer *referrer, json_t *one)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(request->server->storage, name, &referrer->digest, &type, NULL);
    g_autoptr(json_t) manifest =
        bytes == NULL ? NULL : ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    if (json_is_object(json_object_get(manifest, "annotations"))) {
        json_object_set(one, "annotations", json_object_get(manifest, "annotations"));
    }
    return manifest != NULL;
}

/* Its descriptor, as distribution-spec 1.1 has it ("Listing Referrers"), with a digest of the algorithm that the
 * subject was named by, where that is known. NULL: it can't be read. */
static json_t *descriptor(Request *request, const char *name, const StorageReferrer *referrer, gboolean is_sha512)
{
    g_autofree char *text =
        is_sha512 && referrer->alias != NULL ? g_strdup(referrer->alias) : ingot_digest_to_text(&referrer->digest);
    g_autoptr(json_t) one =
        json_pack("{s:s, s:s, s:I}", "mediaType", referrer->type, "digest", text, "size", (json_int_t)referrer->size);
    if (*referrer->artifact != '\0') {
        json_object_set_new(one, "artifactType", json_string(referrer->artifact));
    }
    return add_annotations(request, name, referrer, one) ? g_steal_pointer(&one) : NULL;
}

static char *next_referrers(const Request *request, const IngotDigest *last, const char *wanted)
{
    g_autofree char *text = ingot_digest_to_text(last);
    g_autofree char *filter = wanted == NULL ? NULL : g_uri_escape_string(wanted, NULL, FALSE);
    return g_strdup_printf("<%s?last=%s%s%s>; rel=\"next\"", request->path, text,
                           filter == NULL ? "" : "&artifactType=", filter == NULL ? "" : filter);
}

/* As many of the referrers as an index may hold, as it is a manifest; *link (free it) leads to the others. */
static json_t *referrers(Request *request, const char *name, const GArray *all, gboolean is_sha512, const char *wanted,
                         char **link)
{
    json_t *list = json_array();
    const IngotDigest *last = NULL;
    gsize size = 0;
    for (guint i = 0; i < all->len && *link == NULL; i++) {
        const StorageReferrer *referrer = &g_array_index(all, StorageReferrer, i);
        g_autoptr(json_t) one = i == REFERRERS_PAGE ? NULL : descriptor(request, name, referrer, is_sha512);
        g_autofree char *text = one == NULL ? NULL : ingot_json_canonical(one);
        size += text == NULL ? 0 : strlen(text) + 1;
        if (last != NULL && (i == REFERRERS_PAGE || size > REFERRERS_MAX)) {
            *link = next_referrers(request, last, wanted);
        } else {
            last = &referrer->digest;
            json_array_append(list, one); /* nothing, where it can't be read */
        }
    }
    return list;
}

enum MHD_Result api_referrers(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    OciDigest subject;
    IngotDigest after;
    if (!oci_digest_parse(route->reference, &subject, &error)) {
        return api_refuse_digest(request, error);
    }
    const char *wanted = request_query(request, "artifactType"), *last = request_query(request, "last");
    wanted = wanted == NULL || *wanted == '\0' ? NULL : wanted;
    if (last != NULL && !storage_digest(request->server->storage, last, &after, &error)) {
        return api_refuse_digest(request, error);
    }
    through_referrers(request->server->through, route->name, &subject);
    g_autoptr(GArray) all = storage_referrers(request->server->storage, route->name, &subject.key, wanted,
                                              last == NULL ? NULL : &after, REFERRERS_PAGE + 1, &error);
    if (all == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autofree char *link = NULL;
    g_autoptr(json_t) body = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", INDEX_TYPE, "manifests",
                                       referrers(request, route->name, all, subject.is_sha512, wanted, &link));
    g_autoptr(GBytes) bytes = list_bytes(body);
    return request_answer_bytes(request, MHD_HTTP_OK, INDEX_TYPE, bytes, "OCI-Filters-Applied",
                                wanted == NULL ? NULL : "artifactType", "Link", link, NULL);
}

/* Manifests: of any media type, by tag or digest; what they name must be here first. */
#include <ingot/error.h>
#include <ingot/json.h>
#include <ingot/reference.h>
#include <string.h>

#include "server/oci/api.h"

static gboolean find(Request *request, const ApiRoute *route, IngotDigest *digest, GError **error)
{
    if (strchr(route->reference, ':') != NULL) {
        return ingot_digest_parse(route->reference, digest, error);
    }
    return ingot_tag_check(route->reference, error) &&
           storage_find_tag(request->storage, route->name, route->reference, digest, error);
}

static enum MHD_Result get(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = !find(request, route, &digest, &error)
                                  ? NULL
                                  : storage_manifest(request->storage, route->name, &digest, &type, &error);
    if (bytes == NULL) {
        return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)
                   ? request_refuse(request, MHD_HTTP_NOT_FOUND, "MANIFEST_UNKNOWN", error->message)
                   : request_fail(request, "MANIFEST_UNKNOWN", error);
    }
    g_autofree char *text = ingot_digest_to_text(&digest);
    g_autofree char *tag = g_strdup_printf("\"%s\"", text);
    /* A tag may move: whoever keeps its answer asks again, and is told in few bytes that nothing has changed. */
    const char *keep = strchr(route->reference, ':') != NULL ? "max-age=31536000, immutable" : "no-cache";
    if (request_has_already(request, tag)) {
        return request_answer(request, MHD_HTTP_NOT_MODIFIED, NULL, NULL, 0, "ETag", tag, "Cache-Control", keep,
                              "Docker-Content-Digest", text, NULL);
    }
    return request_answer(request, MHD_HTTP_OK, type, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                          "Docker-Content-Digest", text, "ETag", tag, "Cache-Control", keep, NULL);
}

/* Notes the digest that a descriptor names; FALSE: it names none that we understand. */
static gboolean add_mention(GArray *mentions, const json_t *descriptor)
{
    IngotDigest digest;
    const char *text = json_string_value(json_object_get(descriptor, "digest"));
    if (text == NULL || !ingot_digest_parse(text, &digest, NULL)) {
        return FALSE;
    }
    g_array_append_val(mentions, digest);
    return TRUE;
}

static gboolean add_mentions(GArray *mentions, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        /* A layer with urls lies elsewhere (image-spec, "Non-Distributable Layers"). */
        const json_t *one = json_array_get(list, i);
        if (json_object_get(one, "urls") == NULL && !add_mention(mentions, one)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* What has to be here before the manifest: config and layers, and the manifests of an index. */
static GArray *read_mentions(const json_t *manifest)
{
    g_autoptr(GArray) mentions = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    const json_t *config = json_object_get(manifest, "config");
    return (config == NULL || add_mention(mentions, config)) &&
                   add_mentions(mentions, json_object_get(manifest, "layers")) &&
                   add_mentions(mentions, json_object_get(manifest, "manifests"))
               ? g_steal_pointer(&mentions)
               : NULL;
}

/* The digest given and the bytes' must agree; a tag must follow the grammar. */
static gboolean check_reference(const ApiRoute *route, const GByteArray *body, GError **error)
{
    IngotDigest given, found;
    if (strchr(route->reference, ':') == NULL) {
        return ingot_tag_check(route->reference, error);
    }
    if (!ingot_digest_parse(route->reference, &given, error)) {
        return FALSE;
    }
    ingot_digest_of(body->data, body->len, &found);
    if (!ingot_digest_equal(&given, &found)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the manifest does not have the digest that was given");
        return FALSE;
    }
    return TRUE;
}

static enum MHD_Result store(Request *request, const ApiRoute *route, const json_t *root, const char *type)
{
    g_autoptr(GArray) mentions = read_mentions(root);
    if (mentions == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID",
                              "the manifest has a descriptor without a sha256 digest");
    }
    g_autoptr(GError) error = NULL;
    IngotDigest subject, digest;
    const char *subject_text = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    gboolean has_subject = subject_text != NULL && ingot_digest_parse(subject_text, &subject, NULL);
    const char *tag = strchr(route->reference, ':') == NULL ? route->reference : NULL;
    const StorageManifest manifest = {.data = request->body->data,
                                      .size = request->body->len,
                                      .type = type,
                                      .tag = tag,
                                      .subject = has_subject ? &subject : NULL,
                                      .mentions = mentions};
    if (!storage_put_manifest(request->storage, route->name, &manifest, &digest, &error)) {
        return request_fail(request, "MANIFEST_BLOB_UNKNOWN", error);
    }
    g_autofree char *text = ingot_digest_to_text(&digest);
    g_autofree char *location = g_strdup_printf("/v2/%s/manifests/%s", route->name, route->reference);
    return request_answer(request, MHD_HTTP_CREATED, NULL, NULL, 0, "Location", location, "Docker-Content-Digest", text,
                          "OCI-Subject", has_subject ? subject_text : NULL, NULL);
}

static enum MHD_Result put(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    if (request->body->len > API_MANIFEST_MAX) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", "a manifest may have 4 MiB");
    }
    if (!check_reference(route, request->body, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST,
                              strchr(route->reference, ':') == NULL ? "TAG_INVALID" : "DIGEST_INVALID", error->message);
    }
    g_autoptr(json_t) manifest = ingot_json_parse(request->body->data, request->body->len, "the manifest", &error);
    if (manifest == NULL || !json_is_object(manifest)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID",
                              error == NULL ? "the manifest is no JSON object" : error->message);
    }
    const char *type = request_header(request, "Content-Type");
    type = type != NULL ? type : json_string_value(json_object_get(manifest, "mediaType"));
    if (type == NULL || strlen(type) > 255) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", "a Content-Type is expected");
    }
    return store(request, route, manifest, type);
}

static enum MHD_Result del(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    gboolean tag = strchr(route->reference, ':') == NULL;
    gboolean ok = tag ? ingot_tag_check(route->reference, &error) &&
                            storage_remove_tag(request->storage, route->name, route->reference, &error)
                      : ingot_digest_parse(route->reference, &digest, &error) &&
                            storage_remove_manifest(request->storage, route->name, &digest, &error);
    if (!ok && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", error->message);
    }
    return ok ? request_answer(request, MHD_HTTP_ACCEPTED, NULL, NULL, 0, NULL)
              : request_fail(request, "MANIFEST_UNKNOWN", error);
}

enum MHD_Result api_manifest(Request *request, const ApiRoute *route)
{
    if (strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0) {
        return get(request, route);
    }
    if (strcmp(request->method, "PUT") == 0) {
        return put(request, route);
    }
    if (strcmp(request->method, "DELETE") == 0) {
        return del(request, route);
    }
    return request_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "UNSUPPORTED", "GET, HEAD, PUT or DELETE");
}

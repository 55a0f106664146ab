/* Manifests: of any media type, by tag or digest; what they name must be here first. */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/channel/announce.h"
#include "server/oci/api.h"
#include "server/server.h"
#include "server/storage/bases.h"
#include "server/storage/channels.h"
#include "server/storage/growth.h"
#include "server/storage/keptmanifests.h"
#include "server/storage/mediatype.h"
#include "server/storage/mentions.h"
#include "server/storage/pulls.h"
#include "server/storage/several.h"

/* No tag has a colon, and every digest has one. */
static gboolean by_digest(const ApiRoute *route)
{
    return strchr(route->reference, ':') != NULL;
}

/* A tag outside the grammar can only be unknown; a digest outside it, or of another algorithm, is a mistake. */
static enum MHD_Result fail(Request *request, const ApiRoute *route, const GError *error)
{
    if (!g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return request_fail(request, "MANIFEST_UNKNOWN", error);
    }
    return by_digest(route) ? request_refuse(request, MHD_HTTP_BAD_REQUEST, "DIGEST_INVALID", error->message)
                            : request_refuse(request, MHD_HTTP_NOT_FOUND, "MANIFEST_UNKNOWN", error->message);
}

/* Whoever may push and asks whether it is there counts on it. */
static gboolean counts_on(Request *request, const ApiRoute *route)
{
    return strcmp(request->method, "HEAD") == 0 && access_may(request, ACCESS_PUSH, route->name);
}

/* One that is disabled or revoked is given to those alone who say that they want it all the same. */
static enum MHD_Result withhold(Request *request, const Announcement *words)
{
    enum MHD_Result result = request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED", words->why);
    MHD_add_response_header(request->response, LIFECYCLE_HEADER, words->said);
    return result;
}

/* Whoever follows a tag looks at it: where its image goes out in phases, each host has to ask whether it is its turn.
 * Each answer says so, since caches before the server make answers to HEAD of those to GET. */
static const char *rollout_header(const Pipeline *pipeline, const char *tag)
{
    const PipelineChannel *channel = pipeline == NULL ? NULL : pipeline_channel(pipeline, tag);
    return channel == NULL || channel->rollout == NULL ? NULL : "phases";
}

/* pipeline: the name's, where a tag is asked for; else NULL. */
static enum MHD_Result give(Request *request, const ApiRoute *route, const KeptManifest *manifest,
                            const Pipeline *pipeline)
{
    g_auto(Announcement) words = {0};
    announce(manifest->states, route->name, &manifest->digest, g_get_real_time() / G_USEC_PER_SEC, access_sees, request,
             &words);
    if (words.withheld && g_strcmp0(request_header(request, LIFECYCLE_ALLOW_HEADER), LIFECYCLE_ALLOW) != 0) {
        return withhold(request, &words);
    }
    if (strcmp(request->method, "GET") == 0) {
        pulls_note(request->server->storage, route->name, &manifest->digest);
    } else if (counts_on(request, route)) {
        pulls_count_on(request->server->storage, route->name, &manifest->digest);
    }
    const char *text = manifest->text;
    g_autofree char *tag = g_strdup_printf("\"%s\"", text);
    /* A tag may move, and an image may be revoked: whoever keeps an answer asks again, and is told in few bytes that
     * nothing has changed. */
    const char *keep = access_keep_asking(request), *rollout = rollout_header(pipeline, route->reference);
    if (request_has_already(request, tag)) {
        return request_answer(request, MHD_HTTP_NOT_MODIFIED, NULL, NULL, 0, "ETag", tag, "Cache-Control", keep,
                              "Docker-Content-Digest", text, LIFECYCLE_HEADER, words.said, LIFECYCLE_BASE_HEADER,
                              words.base, "Warning", words.warning, "Ingot-Rollout", rollout, NULL);
    }
    return request_answer_bytes(request, MHD_HTTP_OK, manifest->type, manifest->bytes, "Docker-Content-Digest", text,
                                "ETag", tag, "Cache-Control", keep, LIFECYCLE_HEADER, words.said, LIFECYCLE_BASE_HEADER,
                                words.base, "Warning", words.warning, "Ingot-Rollout", rollout, NULL);
}

static enum MHD_Result get(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    FetchOutcome outcome = through_manifest(request->server->through, route->name, route->reference);
    g_autoptr(KeptManifest) manifest =
        kept_manifest_find(request->server->storage, route->name, route->reference, &error);
    if (manifest == NULL && strcmp(request->method, "HEAD") == 0 &&
        g_error_matches(error, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
        /* So that whoever asks before a push brings it again, which is what mends it. */
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "MANIFEST_UNKNOWN", "the manifest is damaged");
    }
    if (manifest == NULL) {
        return through_is_open(outcome) && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)
                   ? request_refuse_busy(request, through_reason(outcome))
                   : fail(request, route, error);
    }
    g_autoptr(Pipeline) pipeline = by_digest(route) ? NULL : storage_pipeline(request->server->storage, route->name);
    return give(request, route, manifest, pipeline);
}

/* A tag may be newer at the upstream. */
enum MHD_Result api_manifest_quick(Request *request, const ApiRoute *route)
{
    g_autoptr(KeptManifest) manifest =
        (request->server->through != NULL && !by_digest(route)) ||
                (pulls_may_wait(request->server->storage) && counts_on(request, route))
            ? NULL
            : kept_manifest_ready(request->server->storage, route->name, route->reference);
    gboolean asks = manifest != NULL && !by_digest(route);
    g_autoptr(Pipeline) pipeline = asks ? storage_recall_pipeline(request->server->storage, route->name) : NULL;
    return manifest == NULL || (asks && pipeline == NULL) ? MHD_YES : give(request, route, manifest, pipeline);
}

/* The first of what the repository lacks; NULL: it has all. */
static const Mention *find_missing(Request *request, const char *name, const GArray *mentions)
{
    for (guint i = 0; i < mentions->len; i++) {
        const Mention *one = &g_array_index(mentions, Mention, i);
        if (one->elsewhere) {
            continue;
        }
        if (one->manifest ? !storage_is_sparse(request->server->storage, name) &&
                                !storage_has_manifest(request->server->storage, name, &one->digest)
                          : !storage_has(request->server->storage, name, &one->digest)) {
            return one;
        }
    }
    return NULL;
}

/* What it mentions; NULL: a descriptor is malformed, or a push lacks what the specification requires. */
static GArray *read_mentions(const json_t *manifest, GError **error)
{
    g_autoptr(GArray) mentions = mentions_read(manifest);
    gboolean ok = mentions != NULL;
    for (guint i = 0; ok && i < mentions->len; i++) {
        const Mention *one = &g_array_index(mentions, Mention, i);
        ok = one->sized || one->elsewhere;
    }
    if (!ok) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "the manifest has a descriptor without a digest (sha256 or sha512) or a size");
        return NULL;
    }
    return g_steal_pointer(&mentions);
}

/* The digest given and the bytes' must agree; a tag must follow the grammar. *given: the digest, else zeros. */
static gboolean check_reference(const ApiRoute *route, const GByteArray *body, OciDigest *given, GError **error)
{
    *given = (OciDigest){0};
    if (!by_digest(route)) {
        return ingot_tag_check(route->reference, error);
    }
    if (!oci_digest_parse(route->reference, given, error)) {
        return FALSE;
    }
    if (!oci_digest_fits(given, body->data, body->len)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "the manifest does not have the digest that was given");
        return FALSE;
    }
    return TRUE;
}

/* When the tag may be moved: If-Match with the digest that it must name, in quotes; If-None-Match: * where there must
 * be none; a version never. */
static gboolean read_conditions(Request *request, const ApiRoute *route, StorageManifest *manifest,
                                IngotDigest *expected, GError **error)
{
    const char *match = request_header(request, MHD_HTTP_HEADER_IF_MATCH);
    const char *none = request_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);
    const char *movable = request->server->movable;
    gsize length = match == NULL ? 0 : strlen(match);
    manifest->only_new = none != NULL && strcmp(none, "*") == 0;
    manifest->fixed = movable == NULL || !g_pattern_match_simple(movable, route->name);
    manifest->promotes = access_may(request, ACCESS_PROMOTE, route->name);
    if (match == NULL) {
        return TRUE;
    }
    g_autofree char *text =
        length < 2 || match[0] != '"' || match[length - 1] != '"' ? NULL : g_strndup(match + 1, length - 2);
    if (by_digest(route) || text == NULL || !storage_digest(request->server->storage, text, expected, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "If-Match: one digest in quotes is expected, and a tag, as in \"sha256:…\"");
        return FALSE;
    }
    manifest->expected = expected;
    return TRUE;
}

/* What stood against it: a condition of the request, or that a version never moves. */
static enum MHD_Result refuse_put(Request *request, const StorageManifest *manifest, const GError *error)
{
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)) {
        gboolean asked = manifest->expected != NULL || manifest->only_new;
        return request_refuse(request, asked ? MHD_HTTP_PRECONDITION_FAILED : MHD_HTTP_CONFLICT, "DENIED",
                              error->message);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", error->message);
    }
    return request_fail(request, "MANIFEST_BLOB_UNKNOWN", error);
}

/* Beside a digest, the query may name tags (distribution-spec, end-7b). FALSE: one is outside the grammar. */
static gboolean read_tags(Request *request, const ApiRoute *route, GStrv *tags, GError **error)
{
    *tags = by_digest(route) ? request_query_all(request, "tag") : g_new0(char *, 1);
    for (guint i = 0; (*tags)[i] != NULL; i++) {
        if (!ingot_tag_check((*tags)[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The first of the tags (a text and a list, either may be NULL) that only a promotion moves: a pipeline was applied,
 * and names it as a channel. NULL: none. */
static const char *find_guarded(const Request *request, const char *name, const char *tag, const GStrv tags)
{
    Storage *storage = request->server->storage;
    if (tag != NULL && storage_is_guarded(storage, name, tag)) {
        return tag;
    }
    for (guint i = 0; tags != NULL && tags[i] != NULL; i++) {
        if (storage_is_guarded(storage, name, tags[i])) {
            return tags[i];
        }
    }
    return NULL;
}

/* The command that does what was asked for otherwise. */
static enum MHD_Result refuse_guarded(Request *request, const char *name, const char *channel)
{
    const char *host = request_header(request, MHD_HTTP_HEADER_HOST);
    g_autofree char *message = g_strdup_printf(
        "%s:%s is a channel of a pipeline, which only a promotion moves: ingot promote %s/%s VERSION %s", name, channel,
        host == NULL ? "HOST" : host, name, channel);
    return request_refuse(request, MHD_HTTP_CONFLICT, "DENIED", message);
}

/* A channel moves by the right promote alone, however it is named: by the path (tag; NULL: that names a digest) or the
 * query. */
static gboolean may_set(const Request *request, const char *name, const char *tag, const GStrv tags)
{
    Storage *storage = request->server->storage;
    gboolean channel = tag != NULL && storage_is_channel(storage, name, tag);
    for (guint i = 0; !channel && tags[i] != NULL; i++) {
        channel = storage_is_channel(storage, name, tags[i]);
    }
    return !channel || access_may(request, ACCESS_PROMOTE, name);
}

/* What the views of a version need is worked out in advance. */
static void warm(Request *request, const char *name, const char *tag)
{
    if (tag != NULL && ingot_tag_is_version(tag)) {
        warm_add(request->server->warm, name, tag);
    }
}

static enum MHD_Result answer_put(Request *request, const ApiRoute *route, const IngotDigest *digest,
                                  const char *subject, const GStrv tags)
{
    g_autofree char *text = by_digest(route) ? g_strdup(route->reference) : ingot_digest_to_text(digest);
    g_autofree char *location = g_strdup_printf("/v2/%s/manifests/%s", route->name, route->reference);
    g_autofree char *list = tags[0] == NULL ? NULL : g_strjoinv(", ", tags);
    warm(request, route->name, by_digest(route) ? NULL : route->reference);
    for (guint i = 0; tags[i] != NULL; i++) {
        warm(request, route->name, tags[i]);
    }
    return request_answer(request, MHD_HTTP_CREATED, NULL, NULL, 0, "Location", location, "Docker-Content-Digest", text,
                          "OCI-Subject", subject, "OCI-Tag", list, NULL);
}

/* Why a channel may not name the manifest: it, or what it has as an index, is disabled or revoked. NULL: nothing, or an
 * error. Free it. */
static char *channel_withheld(Request *request, const StorageManifest *manifest, const char *name, GError **error)
{
    Storage *storage = request->server->storage;
    gboolean channel = manifest->tag != NULL && storage_is_channel(storage, name, manifest->tag);
    for (guint i = 0; manifest->further != NULL && manifest->further[i] != NULL; i++) {
        channel = channel || storage_is_channel(storage, name, manifest->further[i]);
    }
    char *why = NULL;
    IngotDigest digest;
    if (channel) {
        ingot_digest_of(manifest->data, manifest->size, &digest);
        g_autoptr(GArray) several = several_of_mentions(manifest->mentions);
        state_keeps_from_channels(storage, name, &digest, several, &why, error);
    }
    return why;
}

/* Why a version may not grow: what it names is disabled or revoked, which nobody would hear of any more. NULL: nothing,
 * or an error. Free it. */
static char *growth_withheld(Request *request, const StorageManifest *manifest, const char *name, GError **error)
{
    Storage *storage = request->server->storage;
    IngotDigest digest, named;
    char *why = NULL;
    GError *problem = NULL;
    ingot_digest_of(manifest->data, manifest->size, &digest);
    const char *tag = growth_is_index(manifest->type) ? manifest->tag : NULL;
    for (guint i = 0; tag != NULL && why == NULL && problem == NULL; i++) {
        if (manifest->fixed && ingot_tag_is_version(tag) && storage_find_tag(storage, name, tag, &named, NULL) &&
            !ingot_digest_equal(&named, &digest)) {
            state_stands_in_the_way(storage, name, &named, &why, &problem);
        }
        tag = manifest->further == NULL ? NULL : manifest->further[i];
    }
    if (problem != NULL) {
        g_propagate_error(error, problem);
    }
    return why;
}

static enum MHD_Result store(Request *request, const ApiRoute *route, const json_t *root, const char *type,
                             const OciDigest *given, const GArray *mentions)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest, expected, base;
    OciDigest subject;
    g_auto(GStrv) tags = NULL;
    g_autofree char *base_name = manifest_base_name(root);
    const StorageActor actor = api_actor(request);
    if (!read_tags(request, route, &tags, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", error->message);
    }
    const char *subject_text = json_string_value(json_object_get(json_object_get(root, "subject"), "digest"));
    gboolean has_subject = subject_text != NULL && oci_digest_parse(subject_text, &subject, NULL);
    const char *artifact = manifest_artifact(root);
    StorageManifest manifest = {.data = request->body->data,
                                .size = request->body->len,
                                .type = type,
                                .tag = by_digest(route) ? tags[0] : route->reference,
                                .further = tags[0] == NULL ? NULL : (const char *const *)tags + 1,
                                .subject = has_subject ? &subject.key : NULL,
                                .subject_text = subject_text,
                                .artifact = artifact == NULL ? "" : artifact,
                                .base = manifest_base(root, &base) ? &base : NULL,
                                .base_name = base_name,
                                .named = by_digest(route) ? given : NULL,
                                .mentions = mentions,
                                .actor = &actor};
    g_autofree char *withheld = channel_withheld(request, &manifest, route->name, &error);
    if (withheld != NULL) {
        return request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED", withheld);
    }
    if (error != NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    const char *tag = by_digest(route) ? NULL : route->reference;
    if (!may_set(request, route->name, tag, tags)) {
        return access_refuse(request, route->name, ACCESS_PROMOTE);
    }
    const char *guarded = find_guarded(request, route->name, tag, tags);
    if (guarded != NULL) {
        return refuse_guarded(request, route->name, guarded);
    }
    if (subject_text != NULL && !has_subject) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", "the subject's digest is malformed");
    }
    if (!read_conditions(request, route, &manifest, &expected, &error)) {
        return refuse_put(request, &manifest, error);
    }
    g_autofree char *grown = growth_withheld(request, &manifest, route->name, &error);
    if (grown != NULL) {
        return request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED", grown);
    }
    if (error != NULL || !storage_put_manifest(request->server->storage, route->name, &manifest, &digest, &error)) {
        return refuse_put(request, &manifest, error);
    }
    return answer_put(request, route, &digest, subject_text, tags);
}

/* Whether the repository has just this manifest, of this type: whoever may promote may give it a further tag. */
static gboolean is_here(Request *request, const char *name, const char *type)
{
    IngotDigest digest;
    g_autofree char *kept = NULL;
    ingot_digest_of(request->body->data, request->body->len, &digest);
    g_autoptr(GBytes) bytes = storage_manifest(request->server->storage, name, &digest, &kept, NULL);
    return bytes != NULL && strcmp(kept, type) == 0;
}

static enum MHD_Result put(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    OciDigest given;
    if (request->body->len > API_MANIFEST_MAX) {
        return request_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "SIZE_INVALID", "a manifest may have 4 MiB");
    }
    if (!check_reference(route, request->body, &given, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, by_digest(route) ? "DIGEST_INVALID" : "MANIFEST_INVALID",
                              error->message);
    }
    g_autoptr(json_t) manifest = manifest_parse(request->body->data, request->body->len, "the manifest", &error);
    if (manifest == NULL || !json_is_object(manifest)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID",
                              error == NULL ? "the manifest is no JSON object" : error->message);
    }
    g_autofree char *type = mediatype_of_push(request_header(request, "Content-Type"), manifest, &error);
    if (type == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", error->message);
    }
    if (!access_may(request, ACCESS_PUSH, route->name) && !is_here(request, route->name, type)) {
        return access_refuse(request, route->name, ACCESS_PUSH);
    }
    g_autoptr(GArray) mentions = read_mentions(manifest, &error);
    if (mentions == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "MANIFEST_INVALID", error->message);
    }
    if (!storage_resolve_mentions(request->server->storage, mentions, &error)) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    FetchOutcome outcome = through_needs(request->server->through, route->name, mentions, TRUE);
    const Mention *lost = find_missing(request, route->name, mentions);
    if (lost != NULL && through_is_open(outcome)) {
        return request_refuse_busy(request, through_reason(outcome));
    }
    if (lost != NULL) {
        g_autofree char *digest = mention_text(lost);
        g_autofree char *message = g_strdup_printf("the manifest names %s, which is not here", digest);
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", message);
    }
    return store(request, route, manifest, type, &given, mentions);
}

static gboolean remove_digest(Request *request, const char *name, const IngotDigest *digest, GError **error)
{
    Storage *storage = request->server->storage;
    const StorageActor actor = api_actor(request);
    return access_may(request, ACCESS_PROMOTE, name)
               ? storage_remove_manifest(storage, &actor, name, digest, error)
               : storage_remove_beside_channels(storage, &actor, name, digest, TRUE, error);
}

static AccessRight right_to_remove(const Request *request, const ApiRoute *route)
{
    return !by_digest(route) && storage_is_channel(request->server->storage, route->name, route->reference)
               ? ACCESS_PROMOTE
               : ACCESS_DELETE;
}

static enum MHD_Result del(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    IngotDigest digest;
    const StorageActor actor = api_actor(request);
    AccessRight right = right_to_remove(request, route);
    if (!access_may(request, right, route->name)) {
        return access_refuse(request, route->name, right);
    }
    if (find_guarded(request, route->name, route->reference, NULL) != NULL) {
        return refuse_guarded(request, route->name, route->reference);
    }
    gboolean ok = by_digest(route)
                      ? storage_digest(request->server->storage, route->reference, &digest, &error) &&
                            remove_digest(request, route->name, &digest, &error)
                      : ingot_tag_check(route->reference, &error) &&
                            storage_remove_tag(request->server->storage, &actor, route->name, route->reference, &error);
    return ok ? request_answer(request, MHD_HTTP_ACCEPTED, NULL, NULL, 0, NULL)
           : g_error_matches(error, INGOT_ERROR, INGOT_ERROR_EXISTS)
               ? request_refuse(request, MHD_HTTP_CONFLICT, "DENIED", error->message)
               : fail(request, route, error);
}

enum MHD_Result api_manifest(Request *request, const ApiRoute *route)
{
    return request_is_read(request)              ? get(request, route)
           : strcmp(request->method, "PUT") == 0 ? put(request, route)
                                                 : del(request, route);
}

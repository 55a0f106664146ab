/* The door of pipelines: which ones there are, which one counts for a name, and applying a file of them. A pattern may
 * be the name of a repository, and what is said of it is inside knowledge: whoever may not pull all that it stands for
 * hears nothing of it here, and not by what applying a file would change either. */
#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/auth/challenge.h"
#include "server/channel/doors.h"
#include "server/channel/gate.h"
#include "server/server.h"
#include "server/storage/channels.h"

#define FILE_MAX (1u << 20)     /* bytes */
#define FILE_VALUES (64u << 10) /* that it may have */

static gboolean check_gate(const char *name, const json_t *settings, GString *path, GError **error)
{
    return gate_find(name)->check(settings, path, error);
}

/* --- asking --- */

/* From memory. */
static enum MHD_Result answer_of_name(Request *request, const RouteMatch *match)
{
    g_autoptr(Pipeline) pipeline = storage_pipeline(request->server->storage, match->name);
    g_autoptr(json_t) body = json_copy(pipeline->body);
    json_object_set_new(body, "pattern", pipeline->pattern == NULL ? json_null() : json_string(pipeline->pattern));
    return channel_door_answer(request, MHD_HTTP_OK, body);
}

static enum MHD_Result check_list(Request *request, const RouteMatch *match)
{
    (void)match;
    return access_may_list(request) ? MHD_YES : access_refuse(request, NULL, ACCESS_PULL);
}

static char *list_scope(const Request *request, const RouteMatch *match)
{
    (void)request;
    (void)match;
    return challenge_scope(NULL, ACCESS_PULL);
}

static enum MHD_Result answer_all(Request *request, const RouteMatch *match)
{
    (void)match;
    g_autoptr(GPtrArray) pipelines = storage_pipelines(request->server->storage);
    json_t *map = json_object();
    for (guint i = 0; i < pipelines->len; i++) {
        const Pipeline *one = g_ptr_array_index(pipelines, i);
        if (access_sees(one->pattern, request)) { /* a pattern as a name, as scopes_cover has it */
            json_object_set(map, one->pattern, one->body);
        }
    }
    g_autoptr(json_t) body = ingot_json_pack("{s:o}", "pipelines", map);
    return channel_door_answer(request, MHD_HTTP_OK, body);
}

/* --- applying --- */

static enum MHD_Result refuse_mistakes(Request *request, const GArray *mistakes)
{
    json_t *list = json_array();
    for (guint i = 0; i < mistakes->len; i++) {
        const PipelineMistake *one = &g_array_index(mistakes, PipelineMistake, i);
        json_array_append_new(list, ingot_json_pack("{s:s, s:s}", "path", one->path, "message", one->message));
    }
    g_autoptr(json_t) body = ingot_json_pack("{s:o}", "mistakes", list);
    return channel_door_answer(request, MHD_HTTP_CONFLICT, body);
}

static void add_change(GPtrArray *changes, json_t *told, const char *pattern, const json_t *body, const char *how)
{
    g_ptr_array_add(changes, pipeline_new(pattern, body));
    json_array_append_new(told, ingot_json_pack("{s:s, s:s}", "pattern", pattern, "change", how));
}

/* What a request asks for, and what comes of it. */
typedef struct {
    const Request *request;
    const json_t *document;
    gboolean prune;
    json_t *told;  /* array of {"pattern", "change"} */
    char *foreign; /* a pattern that the caller may not change, or may not know of; NULL: none */
} Applying;

static void meet_pattern(Applying *applying, const char *pattern)
{
    if (applying->foreign == NULL && !access_sees(pattern, applying->request)) {
        applying->foreign = g_strdup(pattern);
    }
}

static const Pipeline *find_pipeline(const GPtrArray *pipelines, const char *pattern)
{
    for (guint i = 0; i < pipelines->len; i++) {
        const Pipeline *one = g_ptr_array_index(pipelines, i);
        if (strcmp(one->pattern, pattern) == 0) {
            return one;
        }
    }
    return NULL;
}

/* What the document changes (told to the caller), and what of it is to be put: a pipeline without channels goes. */
static GPtrArray *find_changes(const GPtrArray *now, Applying *applying)
{
    g_autoptr(json_t) none = json_object();
    GPtrArray *changes = g_ptr_array_new_with_free_func((GDestroyNotify)pipeline_unref);
    const json_t *map = json_object_get(applying->document, "pipelines");
    const char *pattern;
    json_t *body;
    json_object_foreach((json_t *)map, pattern, body)
    {
        const Pipeline *before = find_pipeline(now, pattern);
        meet_pattern(applying, pattern);
        if (before == NULL || !json_equal(before->body, body)) {
            add_change(changes, applying->told, pattern, body, before == NULL ? "added" : "changed");
        }
    }
    for (guint i = 0; applying->prune && i < now->len; i++) {
        const Pipeline *one = g_ptr_array_index(now, i);
        if (json_object_get(map, one->pattern) == NULL) {
            meet_pattern(applying, one->pattern);
            add_change(changes, applying->told, one->pattern, none, "removed");
        }
    }
    return changes;
}

/* Whoever applies a pipeline is an admin of all names that it counts for. */
static const char *find_foreign(const Request *request, const GPtrArray *changes)
{
    for (guint i = 0; i < changes->len; i++) {
        const Pipeline *one = g_ptr_array_index(changes, i);
        if (!access_may(request, ACCESS_ADMIN, one->pattern)) {
            return one->pattern;
        }
    }
    return NULL;
}

static GPtrArray *find_allowed(const GPtrArray *now, gpointer user, GError **error)
{
    Applying *applying = user;
    g_autoptr(GPtrArray) changes = find_changes(now, applying);
    if (applying->foreign == NULL) {
        applying->foreign = g_strdup(find_foreign(applying->request, changes));
    }
    if (applying->foreign != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_DENIED, "%s is not the caller's to change", applying->foreign);
        return NULL;
    }
    return g_steal_pointer(&changes);
}

/* A dry run is told the changes, by what other servers have applied too. */
static gboolean find_dry(Storage *storage, Applying *applying, GError **error)
{
    if (!storage_load_pipelines(storage, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) now = storage_pipelines(storage);
    g_ptr_array_unref(find_changes(now, applying));
    return TRUE;
}

static gboolean query_is_on(const Request *request, const char *word)
{
    const char *value = request_query(request, word);
    return value != NULL && strcmp(value, "0") != 0;
}

static enum MHD_Result apply(Request *request, const json_t *document)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    gboolean dry_run = query_is_on(request, "dry_run");
    g_autoptr(json_t) told = json_array();
    Applying applying = {request, document, query_is_on(request, "prune"), told, NULL};
    const StorageActor actor = channel_door_actor(request, request_header(request, "Ingot-Reason"));
    gboolean done = dry_run ? find_dry(storage, &applying, &error)
                            : storage_change_pipelines(storage, &actor, find_allowed, &applying, &error);
    g_autofree char *foreign = applying.foreign;
    if (foreign != NULL) {
        return access_refuse(request, foreign, ACCESS_ADMIN);
    }
    if (!done) {
        return request_fail(request, "UNKNOWN", error);
    }
    g_autoptr(json_t) body = ingot_json_pack("{s:b, s:O}", "applied", (int)!dry_run, "changes", told);
    return channel_door_answer(request, MHD_HTTP_OK, body);
}

static enum MHD_Result answer_put(Request *request, const RouteMatch *match)
{
    (void)match;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) bytes = g_bytes_new_static(request->body->data, request->body->len);
    g_autoptr(json_t) document = ingot_json_parse_bytes(bytes, "the pipelines", FILE_VALUES, &error);
    if (document == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID", error->message);
    }
    const PipelineGates gates = {gate_names(), check_gate};
    g_autoptr(GArray) mistakes = pipelines_check(document, &gates);
    return mistakes->len > 0 ? refuse_mistakes(request, mistakes) : apply(request, document);
}

const Route pipeline_routes[] = {
    {.methods = "GET",
     .pattern = "/api/v1/pipelines",
     .name = "pipelines",
     .pool = POOL_READ,
     .check = check_list,
     .scope = list_scope,
     .answer = answer_all},
    {.methods = "PUT",
     .pattern = "/api/v1/pipelines",
     .name = "pipelines",
     .pool = POOL_WRITE,
     .check = check_list,
     .scope = list_scope,
     .body_max = FILE_MAX,
     .answer = answer_put},
    {.methods = "GET",
     .pattern = "/api/v1/{name}/pipeline",
     .name = "pipeline",
     .pool = POOL_READ,
     .check = channel_door_reads,
     .scope = channel_door_read_scope,
     .answer = answer_of_name},
    {0},
};

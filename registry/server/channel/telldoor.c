/* The door of what channels name, and named: who, when and why. */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "server/auth/access.h"
#include "server/channel/announce.h"
#include "server/channel/doors.h"
#include "server/channel/promotion.h"
#include "server/server.h"
#include "server/storage/channels.h"
#include "server/storage/moves.h"

#define MOVES_MOST 1000u /* in one answer */
#define MOVES_USUAL 100u

/* --- channels --- */

/* How a channel came to name what it names; what was not noted, as of before an upgrade, is left out. */
static void add_move(json_t *entry, const StorageMove *move)
{
    g_autofree char *since = ingot_text_time(move->at);
    ingot_json_set_string(entry, "since", since);
    ingot_json_set_string(entry, "by", move->by);
    ingot_json_set_string(entry, "reason", move->reason);
}

static gboolean add_channel(const Request *request, const char *name, const char *channel, GHashTable *versions,
                            json_t *list, GError **error)
{
    Storage *storage = request->server->storage;
    IngotDigest digest;
    GError *problem = NULL;
    if (!storage_find_tag(storage, name, channel, &digest, &problem)) {
        gboolean empty = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
        if (!empty) {
            g_propagate_error(error, problem);
            return FALSE;
        }
        g_error_free(problem);
        return TRUE;
    }
    g_autoptr(GArray) moves = storage_moves(storage, name, channel, 0, 1, error);
    g_autofree char *text = ingot_digest_to_text(&digest), *mark = NULL;
    if (moves == NULL || !state_mark(storage, name, &digest, access_sees, request, &mark, error)) {
        return FALSE;
    }
    json_t *entry = ingot_json_pack("{s:s, s:s}", "channel", channel, "digest", text);
    ingot_json_set_string(entry, "version", g_hash_table_lookup(versions, text));
    if (moves->len > 0 && ingot_digest_equal(&g_array_index(moves, StorageMove, 0).digest, &digest)) {
        add_move(entry, &g_array_index(moves, StorageMove, 0));
    }
    ingot_json_set_string(entry, "marked", mark);
    json_array_append_new(list, entry);
    return TRUE;
}

static enum MHD_Result answer_channels(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    g_autoptr(Pipeline) pipeline = storage_pipeline(storage, match->name);
    g_autofree const char **names = pipeline_names(pipeline);
    g_autoptr(GHashTable) versions = storage_version_names(storage, match->name, &error);
    g_autoptr(json_t) list = json_array();
    gboolean ok = versions != NULL;
    for (guint i = 0; ok && names[i] != NULL; i++) {
        ok = add_channel(request, match->name, names[i], versions, list, &error);
    }
    return ok ? channel_door_answer(request, MHD_HTTP_OK, list) : request_fail(request, "NAME_UNKNOWN", error);
}

/* --- the log --- */

static json_t *tell_move(const StorageMove *move, GHashTable *versions)
{
    g_autofree char *text = move->gone ? NULL : ingot_digest_to_text(&move->digest);
    json_t *entry = ingot_json_pack("{s:s, s:I, s:s, s:b}", "channel", move->tag, "number", (json_int_t)move->number,
                                    "how", move->how == NULL ? "push" : move->how, "forced", (int)move->forced);
    ingot_json_set_string(entry, "digest", text);
    ingot_json_set_string(entry, "version", text == NULL ? NULL : g_hash_table_lookup(versions, text));
    if (move->gates != NULL) {
        json_object_set(entry, "gates", move->gates);
    }
    add_move(entry, move);
    return entry;
}

static gboolean read_number(const Request *request, const char *word, guint64 otherwise, guint64 *number)
{
    const char *text = request_query(request, word);
    *number = otherwise;
    return text == NULL || g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT64, number, NULL);
}

static enum MHD_Result answer_log(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    Storage *storage = request->server->storage;
    const char *channel = request_query(request, "channel");
    guint64 most, before;
    if (!read_number(request, "n", MOVES_USUAL, &most) || !read_number(request, "before", 0, &before)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "REQUEST_INVALID", "n and before are whole numbers");
    }
    if (channel != NULL && !promotion_check_channel(storage, match->name, channel, &error)) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "CHANNEL_UNKNOWN", error->message);
    }
    g_autoptr(GHashTable) versions = storage_version_names(storage, match->name, &error);
    g_autoptr(GArray) moves =
        versions == NULL ? NULL
                         : storage_moves(storage, match->name, channel, before, (guint)MIN(most, MOVES_MOST), &error);
    if (moves == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    g_autoptr(json_t) list = json_array();
    for (guint i = 0; i < moves->len; i++) {
        json_array_append_new(list, tell_move(&g_array_index(moves, StorageMove, i), versions));
    }
    return channel_door_answer(request, MHD_HTTP_OK, list);
}

#define READS .methods = "GET, HEAD", .pool = POOL_READ, .check = channel_door_reads, .scope = channel_door_read_scope
const Route tell_routes[] = {
    {READS, .pattern = "/api/v1/{name}/channels", .name = "channels", .answer = answer_channels},
    {READS, .pattern = "/api/v1/{name}/log", .name = "log", .answer = answer_log},
    {0},
};

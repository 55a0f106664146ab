#include "cli/follow/aim.h"

#include <ingot/error.h>

#include "base/json.h"
#include "base/text.h"
#include "remote/api.h"
#include "remote/ours.h"
#include "remote/patience.h"

#define AGAIN_MOST ((json_int_t)24 * 3600) /* seconds */

void aim_clear(Aim *aim)
{
    g_free(aim->waits);
    g_free(aim->version);
}

static void query_add(GString *query, char mark, const char *member, const char *text)
{
    if (text != NULL) {
        g_autofree char *escaped = g_uri_escape_string(text, NULL, FALSE);
        g_string_append_printf(query, "%c%s=%s", mark, member, escaped);
    }
}

/* Free it. */
static char *aim_path(const IngotReference *channel, const AimHost *host, const IngotDigest *runs)
{
    g_autofree char *digest = runs == NULL ? NULL : ingot_digest_to_text(runs);
    GString *path = g_string_new(NULL);
    g_string_printf(path, "%s/target/%s", channel->name, channel->tag);
    query_add(path, '?', "host", host->host);
    query_add(path, '&', "id", host->id);
    query_add(path, '&', "group", host->group);
    query_add(path, '&', "wariness", host->wariness);
    query_add(path, '&', "runs", digest);
    return g_string_free(path, FALSE);
}

/* What this very host is to run. *status: of the answer; 0: none has come. */
static gboolean aim_ask(IngotRemote *remote, const IngotReference *channel, const AimHost *host,
                        const IngotDigest *runs, Aim *aim, guint *status, GError **error)
{
    g_autofree char *path = aim_path(channel, host, runs);
    g_autoptr(json_t) answer = remote_api(remote, "GET", path, NULL, status, error);
    const char *digest = json_string_value(json_object_get(answer, "digest"));
    const char *why = json_string_value(json_object_get(answer, "why"));
    const json_t *again = json_object_get(answer, "again");
    if (answer == NULL) {
        return FALSE;
    }
    if (digest != NULL) {
        if (!ingot_digest_parse(digest, &aim->digest, error)) {
            return FALSE;
        }
        aim->further = json_is_true(json_object_get(answer, "further"));
        aim->version = g_strdup(json_string_value(json_object_get(answer, "version")));
        return TRUE;
    }
    if (why == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the registry does not say what this host is to run",
                    channel->name);
        return FALSE;
    }
    aim->waits = ingot_text_line(why);
    aim->again = json_is_integer(again) ? CLAMP(json_integer_value(again), 1, AGAIN_MOST) : 0;
    return TRUE;
}

/* Whether such an answer, where the tag can be had, is that of a registry which knows of no hosts; of one that is down
 * or busy nobody knows. */
static gboolean is_foreign(guint status)
{
    return status >= 200 && !patience_is_passing(status);
}

gboolean aim_find(IngotRemote *remote, const IngotReference *channel, const AimHost *host, const IngotDigest *runs,
                  Aim *aim, GError **error)
{
    gboolean told;
    guint status = 0;
    GError *problem = NULL;
    if (!ingot_remote_find_tag(remote, channel->name, channel->tag, &aim->digest, &told, error)) {
        return FALSE;
    }
    gboolean phased = ingot_remote_is_phased(remote);
    IngotDigest named = aim->digest;
    if (aim_ask(remote, channel, host, runs, aim, &status, &problem)) {
        return TRUE;
    }
    if (phased || !is_foreign(status)) {
        g_propagate_prefixed_error(error, problem, "whether it is this host's turn can't be asked: ");
        return FALSE;
    }
    g_error_free(problem);
    aim->digest = named;
    if (told) {
        return TRUE;
    }
    IngotDescriptor manifest;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(remote, channel->name, channel->tag, &manifest, &type, error);
    aim->digest = manifest.digest;
    return bytes != NULL;
}

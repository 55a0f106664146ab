#include "cli/across.h"

#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/command.h"
#include "base/json.h"
#include "cli/history.h"
#include "cli/nameapi.h"
#include "cli/promotion.h"
#include "remote/api.h"
#include "remote/environment.h"
#include "store/lacking.h"
#include "transfer/push.h"

/* The digest of the image that a reference names now. Free it. */
static char *across_digest(const IngotReference *from, GError **error)
{
    IngotDescriptor image;
    g_autoptr(IngotReference) asked = ingot_reference_new(from->host, from->name, from->tag, from->digest);
    g_autoptr(IngotRemote) remote = environment_remote(from->host, error);
    g_autoptr(GBytes) manifest = remote == NULL ? NULL : ingot_transfer_image_manifest(remote, asked, &image, error);
    return manifest == NULL ? NULL : ingot_digest_to_text(&image.digest);
}

/* The version by which the first registry knows the image, so that it is one in the other as well. NULL: it has none
 * in any channel. Free it. */
static char *across_version(const IngotReference *from, const char *digest)
{
    if (from->tag != NULL && ingot_tag_is_version(from->tag)) {
        return g_strdup(from->tag);
    }
    g_autofree char *where = g_strdup_printf("%s/%s", from->host, from->name);
    g_autoptr(json_t) channels = history_ask(where, "channels", NULL, NULL);
    for (gsize i = 0; i < json_array_size(channels); i++) {
        const json_t *one = json_array_get(channels, i);
        const char *version = json_string_value(json_object_get(one, "version"));
        if (g_strcmp0(json_string_value(json_object_get(one, "digest")), digest) == 0 && version != NULL &&
            ingot_tag_is_version(version)) {
            return g_strdup(version);
        }
    }
    return NULL;
}

/* A pull takes an image without what is attached where that can't be had; a promotion is nothing without its evidence.
 */
static gboolean across_is_whole(const IngotStore *store, const IngotDescriptor *image, const char *local,
                                GError **error)
{
    g_autoptr(json_t) lacking = lacking_load(store, &image->digest);
    const char *why = json_string_value(json_object_get(json_array_get(lacking, 0), "problem"));
    if (json_array_size(lacking) > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "nothing is promoted: %zu of what is attached to the image in %s can't be had: %s",
                    json_array_size(lacking), local, why == NULL ? "nobody knows why" : why);
    }
    return json_array_size(lacking) == 0;
}

static gboolean across_copy(const IngotReference *from, const IngotReference *to, const char *digest, const char *tag,
                            GError **error)
{
    IngotDescriptor manifest;
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPullOptions pulling = {.progress = ingot_command_progress(), .remote = remote};
    const IngotPushOptions pushing = {.progress = ingot_command_progress(), .remote = remote};
    g_autofree char *local = g_strdup_printf("%s/%s", from->host, from->name);
    g_autoptr(IngotReference) exact = ingot_reference_new(from->host, from->name, NULL, digest);
    g_autoptr(IngotReference) stored = ingot_reference_new(NULL, local, NULL, digest);
    g_autoptr(IngotReference) destination = ingot_reference_new(to->host, to->name, tag, tag == NULL ? digest : NULL);
    g_autoptr(IngotStore) store = cli_store(error);
    if (store == NULL || !ingot_transfer_pull(store, exact, &pulling, &manifest, NULL, error) ||
        !across_is_whole(store, &manifest, local, error)) {
        return FALSE;
    }
    if (!ingot_transfer_push_whole(store, stored, destination, &pushing, &manifest, error)) {
        g_prefix_error(error, "nothing is promoted: ");
        return FALSE;
    }
    return TRUE;
}

static json_t *across_body(const AcrossOptions *options, const char *digest, gboolean dry_run)
{
    json_t *body = ingot_json_pack("{s:s, s:b, s:b}", "from", digest, "dry_run", (int)dry_run, "force",
                                   (int)(options->force && !dry_run));
    ingot_json_set_string(body, "reason", options->reason);
    return body;
}

/* A registry that does not say has it: it says so later. */
static gboolean across_has_channel(const char *where, const char *channel)
{
    guint status;
    g_autoptr(json_t) pipeline = name_api_ask(where, "GET", "pipeline", NULL, &status, NULL);
    const json_t *channels = json_object_get(pipeline, "channels");
    gboolean found = !json_is_array(channels);
    for (gsize i = 0; i < json_array_size(channels) && !found; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(channels, i), "name"));
        found = g_strcmp0(name, channel) == 0;
    }
    return found;
}

/* Whether the channel can be asked for at all, before any of the disk moves. *lacks: the image is not there yet.
 * *foreign: the registry is not Ingot's. */
static gboolean across_look(const char *where, const char *channel, const AcrossOptions *options, const char *digest,
                            gboolean *lacks, gboolean *foreign, GError **error)
{
    guint status;
    GError *problem = NULL;
    g_autofree char *path = g_strdup_printf("channels/%s", channel);
    g_autoptr(json_t) body = across_body(options, digest, TRUE);
    g_autoptr(json_t) answer = name_api_ask(where, "POST", path, body, &status, &problem);
    *foreign = remote_api_is_foreign(problem);
    *lacks = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND);
    if (problem != NULL && !*foreign && (!*lacks || !across_has_channel(where, channel))) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return TRUE;
}

/* A dry run copies nothing, and gates can't be asked of an image that is not there. */
static void across_tell_lacks(const char *where, const char *digest)
{
    g_autofree char *why =
        g_strdup_printf("%s does not have the image yet: its gates are asked once it is copied there", where);
    if (ingot_command_common()->json) {
        g_autoptr(json_t) answer =
            ingot_json_pack("{s:b, s:s, s:[], s:s}", "moved", 0, "digest", digest, "gates", "why", why);
        cli_print_json(answer);
    } else {
        ingot_progress_message(ingot_command_progress(), "%s", why);
    }
}

/* A tag without gates: of a registry that is not Ingot's, or a version. */
static gboolean across_set(const IngotReference *from, const IngotReference *to, const char *digest, const char *tag,
                           const AcrossOptions *options, GError **error)
{
    IngotDigest parsed;
    g_autofree char *text = g_strdup_printf("%s/%s:%s", to->host, to->name, tag);
    if (options->dry_run || options->force || options->reason != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s is only set, without gates and a log: --dry-run, --force and --reason mean nothing there",
                    text);
        return FALSE;
    }
    if (!ingot_digest_parse(digest, &parsed, error) || !across_copy(from, to, digest, tag, error)) {
        return FALSE;
    }
    cli_print_result(text, &parsed);
    return TRUE;
}

gboolean across_promote(const IngotReference *from, const char *where, const char *channel,
                        const AcrossOptions *options, GError **error)
{
    gboolean lacks = TRUE, foreign = FALSE, version = ingot_tag_is_version(channel);
    g_autoptr(IngotReference) to = cli_remote_reference(where, error);
    g_autofree char *digest = to == NULL ? NULL : across_digest(from, error);
    if (digest == NULL || (!version && !across_look(where, channel, options, digest, &lacks, &foreign, error))) {
        return FALSE;
    }
    if (version || foreign) {
        return across_set(from, to, digest, channel, options, error);
    }
    if (options->dry_run && lacks) {
        across_tell_lacks(where, digest);
        return TRUE;
    }
    g_autofree char *tag = options->dry_run ? NULL : across_version(from, digest);
    g_autoptr(json_t) body = across_body(options, digest, options->dry_run);
    return (options->dry_run || across_copy(from, to, digest, tag, error)) &&
           promotion_ask(where, "channels", channel, body, NULL, error);
}

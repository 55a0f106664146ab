#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/json.h"
#include "cli/across.h"
#include "cli/common.h"
#include "cli/promotion.h"
#include "cli/verbs.h"
#include "remote/environment.h"

/* HOST/NAME without a tag, and FROM. NULL: INVALID. */
static IngotReference *parse_from(const char *text, const char *from, GError **error)
{
    IngotDigest exact;
    gboolean by_digest = strchr(from, ':') != NULL;
    g_autoptr(IngotReference) where = cli_remote_reference(text, error);
    if (where == NULL || !(by_digest ? ingot_digest_parse(from, &exact, error) : ingot_tag_check(from, error))) {
        return NULL;
    }
    if (where->tag != NULL || where->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST/NAME is expected; FROM and CHANNEL are the tags",
                    text);
        return NULL;
    }
    return ingot_reference_new(where->host, where->name, by_digest ? NULL : from, by_digest ? from : NULL);
}

/* Any registry: the manifest of one tag gets another tag. */
static gboolean put_tag(const char *where, IngotReference *from, const char *tag, GError **error)
{
    g_autoptr(IngotRemote) remote = environment_remote(from->host, error);
    IngotDescriptor manifest;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_transfer_manifest(remote, from, &manifest, &type, error);
    if (bytes == NULL ||
        !ingot_remote_put_manifest(remote, from->name, tag, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                                   type == NULL ? INGOT_TYPE_MANIFEST : type, error)) {
        return FALSE;
    }
    g_autofree char *text = g_strdup_printf("%s:%s", where, tag);
    cli_print_result(text, &manifest.digest);
    return TRUE;
}

/* Where it goes to is another name. */
static gboolean refuse_same(const IngotReference *from, const char *where, GError **error)
{
    g_autoptr(IngotReference) to = cli_remote_reference(where, error);
    if (to == NULL) {
        return FALSE;
    }
    if (to->tag != NULL || to->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST/NAME is expected, and CHANNEL behind it", where);
        return FALSE;
    }
    gboolean same = strcmp(from->host, to->host) == 0 && strcmp(from->name, to->name) == 0;
    if (same) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s is named twice: ingot promote %s FROM CHANNEL", where,
                    where);
    }
    return !same;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *reason = NULL;
    gboolean dry_run = FALSE, force = FALSE, foreign = FALSE;
    const GOptionEntry entries[] = {
        {"reason", 0, 0, G_OPTION_ARG_STRING, &reason, "why: it stays in the log", "TEXT"},
        {"dry-run", 0, 0, G_OPTION_ARG_NONE, &dry_run, "ask the gates, move nothing", NULL},
        {"force", 0, 0, G_OPTION_ARG_NONE, &force,
         "move it though gates refuse (needs the right admin and --reason; marked for ever)", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_promote, entries, 3, 4, &argc, &argv, error) ||
        !ingot_tag_check(argv[argc - 1], error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) from = parse_from(argv[1], argv[2], error);
    gboolean plain = !dry_run && !force && reason == NULL;
    if (from == NULL) {
        return FALSE;
    }
    if (argc == 5) {
        const AcrossOptions options = {.reason = reason, .dry_run = dry_run, .force = force};
        return refuse_same(from, argv[3], error) && across_promote(from, argv[3], argv[4], &options, error);
    }
    if (plain && ingot_tag_is_version(argv[3])) { /* a version has no gates */
        return put_tag(argv[1], from, argv[3], error);
    }
    g_autoptr(json_t) body =
        ingot_json_pack("{s:s, s:b, s:b}", "from", argv[2], "dry_run", (int)dry_run, "force", (int)force);
    ingot_json_set_string(body, "reason", reason);
    gboolean moved = promotion_ask(argv[1], "channels", argv[3], body, plain ? &foreign : NULL, error);
    return foreign ? put_tag(argv[1], from, argv[3], error) : moved;
}

const IngotVerb verb_promote = {
    "promote", "HOST/NAME FROM [HOST/NAME] CHANNEL", "move a channel to an image, if its gates let it pass",
    "FROM is a version, a tag, a channel or a digest. Every gate of the channel is asked each time, and listed with "
    "what\n"
    "would satisfy it; status 3: they refuse. No byte of the disk moves. A version in the place of CHANNEL, and any "
    "tag\n"
    "of a registry that is not Ingot's, is only set.\n"
    "With a second HOST/NAME the image is copied there first, by way of the store: what is there already does not "
    "cross "
    "the\nnetwork again, all that is attached goes with it, and so does its version. Then the gates of that name are "
    "asked; "
    "where\nthe copy is not whole, nothing is promoted.\n\n"
    "Examples:\n  ingot promote registry.example/team/web test prod --reason 'the release of May'\n"
    "  ingot promote staging.example/team/web prod registry.example/team/web prod\n",
    run};

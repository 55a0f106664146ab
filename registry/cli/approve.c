#include <ingot/error.h>

#include "base/json.h"
#include "cli/nameapi.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *reason = NULL;
    gboolean withdraw = FALSE;
    const GOptionEntry entries[] = {
        {"withdraw", 0, 0, G_OPTION_ARG_NONE, &withdraw, "take your approval back", NULL},
        {"reason", 0, 0, G_OPTION_ARG_STRING, &reason, "why: it stays in the log", "TEXT"},
        G_OPTION_ENTRY_NULL,
    };
    IngotDigest digest;
    guint status;
    if (!ingot_command_options(&verb_approve, entries, 3, 3, &argc, &argv, error) || !ingot_tag_check(argv[2], error) ||
        !ingot_digest_parse(argv[3], &digest, error)) {
        return FALSE;
    }
    g_autoptr(json_t) body = ingot_json_pack("{s:s}", "digest", argv[3]);
    ingot_json_set_string(body, "reason", reason);
    if (withdraw) {
        json_object_set_new(body, "withdraw", json_true());
    }
    g_autofree char *path = g_strdup_printf("approvals/%s", argv[2]);
    g_autoptr(json_t) answer = name_api_ask(argv[1], "POST", path, body, &status, error);
    if (answer != NULL) {
        g_autofree char *text = g_strdup_printf("%s:%s", argv[1], argv[2]);
        cli_print_result(text, &digest);
    }
    return answer != NULL;
}

const IngotVerb verb_approve = {
    "approve", "HOST/NAME CHANNEL DIGEST", "approve an image for a channel",
    "One person's approval of that digest, whatever a tag names later: the gate `approved` counts them. It needs the "
    "right\n"
    "promote, then and when the image is promoted; whoever pushed the image does not count. --withdraw takes your own\n"
    "back.\n\n"
    "Examples:\n"
    "  ingot approve registry.example/team/web prod sha256:0123… --reason 'read and tried'\n"
    "  ingot approve registry.example/team/web prod sha256:0123… --withdraw --reason 'it was another digest'\n",
    run};

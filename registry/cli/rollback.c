#include <ingot/error.h>

#include "base/json.h"
#include "cli/promotion.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    g_autofree char *to = NULL, *reason = NULL;
    const GOptionEntry entries[] = {
        {"to", 0, 0, G_OPTION_ARG_STRING, &to, "back to this version, tag or digest, which it named before", "VERSION"},
        {"reason", 0, 0, G_OPTION_ARG_STRING, &reason, "why: it stays in the log", "TEXT"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_rollback, entries, 2, 2, &argc, &argv, error) ||
        !ingot_tag_check(argv[2], error)) {
        return FALSE;
    }
    g_autoptr(json_t) body = json_object();
    ingot_json_set_string(body, "to", to);
    ingot_json_set_string(body, "reason", reason);
    return promotion_ask(argv[1], "rollback", argv[2], body, NULL, error);
}

const IngotVerb verb_rollback = {
    "rollback", "HOST/NAME CHANNEL", "move a channel back to what it named before",
    "Without --to, to what it named before what it names now: again and again, step by step; a channel that was\n"
    "removed comes back. Only gates of the pipeline with `always` are asked, and what is revoked is no way back.\n"
    "Status 3: refused.\n\n"
    "Example:\n  ingot rollback registry.example/team/web prod --reason 'it fails its health check'\n",
    run};

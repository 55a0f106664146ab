#include <ingot/error.h>

#include "base/json.h"
#include "cli/common.h"
#include "cli/history.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    int most = 0;
    const GOptionEntry entries[] = {
        {"number", 'n', 0, G_OPTION_ARG_INT, &most, "show at most so many, the newest (all)", "N"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_log, entries, 1, 2, &argc, &argv, error)) {
        return FALSE;
    }
    if (most < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "-n %d: a number from 1 on is expected", most);
        return FALSE;
    }
    g_autoptr(json_t) list = history_moves(argv[1], argc > 2 ? argv[2] : NULL, most, error);
    if (list == NULL) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(list);
        return TRUE;
    }
    static const char *const columns[] = {"since", "channel", "how", "version", "digest", "by", "reason", NULL};
    history_print(list, columns);
    return TRUE;
}

const IngotVerb verb_log = {
    "log", "HOST/NAME [CHANNEL]", "list how the channels of a name have moved",
    "The newest first: when, which channel, how (promote, rollback, push, remove; upstream: a cache has fetched it;\n"
    "FORCED where gates had refused), what it names since, who did it and why. What happened before the registry kept\n"
    "such a log is not in it.\n\n"
    "Example:\n  ingot log registry.example/team/web prod\n",
    run};

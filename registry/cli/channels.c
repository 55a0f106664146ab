#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/channelhosts.h"
#include "cli/common.h"
#include "cli/history.h"
#include "cli/verbs.h"

static void print_channels(const json_t *list)
{
    static const char *const columns[] = {"channel", "version", "digest", "since", "by", "reason", NULL};
    history_print(list, columns);
}

/* What is revoked or deprecated, or stands on a base that is. */
static void print_marks(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *marked = json_string_value(json_object_get(one, "marked"));
        if (marked != NULL) {
            g_autofree char *line = ingot_text_line(marked);
            fprintf(stderr, "%s: %s\n", json_string_value(json_object_get(one, "channel")), line);
        }
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    gboolean hosts = FALSE;
    const GOptionEntry entries[] = {
        {"hosts", 0, 0, G_OPTION_ARG_NONE, &hosts, "list the hosts that follow each channel, as they reported", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_channels, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(json_t) list = history_ask(argv[1], "channels", NULL, error);
    if (list == NULL || (hosts && !channel_hosts_add(argv[1], list, error))) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(list);
        return TRUE;
    }
    if (hosts) {
        channel_hosts_print(list);
    } else {
        print_channels(list);
    }
    print_marks(list);
    return TRUE;
}

const IngotVerb verb_channels = {
    "channels", "HOST/NAME", "list what each channel of a name stands on",
    "For each channel: the version and the digest that it names, since when, and who moved it there and why. What is\n"
    "revoked or deprecated, or stands on a base that is, is told. With --hosts, one line for each host that runs\n"
    "`ingot follow`: the image that it runs or tried to run, with what result (done, running, failed; behind: it runs\n"
    "another image than the channel names), since when, and when it was heard of last; and how far rollouts are.\n\n"
    "Example:\n  ingot channels registry.example/team/web\n  ingot channels registry.example/team/web --hosts\n",
    run};

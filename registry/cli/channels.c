#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/history.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_channels, NULL, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(json_t) list = history_ask(argv[1], "channels", NULL, error);
    if (list == NULL) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(list);
        return TRUE;
    }
    static const char *const columns[] = {"channel", "version", "digest", "since", "by", "reason", NULL};
    history_print(list, columns);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *marked = json_string_value(json_object_get(one, "marked"));
        if (marked != NULL) {
            g_autofree char *line = ingot_text_line(marked);
            fprintf(stderr, "%s: %s\n", json_string_value(json_object_get(one, "channel")), line);
        }
    }
    return TRUE;
}

const IngotVerb verb_channels = {
    "channels", "HOST/NAME", "list what each channel of a name stands on",
    "For each channel: the version and the digest that it names, since when, and who moved it there and why. What is\n"
    "revoked or deprecated, or stands on a base that is, is told.\n\n"
    "Example:\n  ingot channels registry.example/team/web\n",
    run};

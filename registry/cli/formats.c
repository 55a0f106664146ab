#include <ingot/format.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/common.h"
#include "cli/verbs.h"

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_formats, NULL, 0, 0, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(json_t) list = json_array();
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", (*format)->name, "summary", (*format)->summary));
    }
    if (ingot_command_common()->json) {
        cli_print_json(list);
        return TRUE;
    }
    gboolean quiet = ingot_command_common()->quiet;
    int width = 0;
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        width = MAX(width, (int)strlen((*format)->name));
    }
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        if (quiet) {
            printf("%s\n", (*format)->name);
        } else {
            printf("%-*s  %s\n", width, (*format)->name, (*format)->summary);
        }
    }
    return TRUE;
}

const IngotVerb verb_formats = {"formats", "", "list the formats that images can be exported in",
                                "Each is a view of the one stored disk: the same bytes each time, no copy kept.\n\n"
                                "Example:\n  ingot formats\n",
                                run};

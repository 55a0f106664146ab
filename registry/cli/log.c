#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "cli/common.h"
#include "cli/history.h"
#include "cli/verbs.h"

#define PAGE "1000"

/* All moves, asked for page by page. */
static json_t *ask_all(const char *name, const char *channel, int most, GError **error)
{
    g_autoptr(json_t) all = json_array();
    g_autofree char *escaped = channel == NULL ? NULL : g_uri_escape_string(channel, NULL, FALSE);
    json_int_t before = 0;
    for (;;) {
        g_autoptr(GString) query = g_string_new("?n=" PAGE);
        if (escaped != NULL) {
            g_string_append_printf(query, "&channel=%s", escaped);
        }
        if (before > 0) {
            g_string_append_printf(query, "&before=%" JSON_INTEGER_FORMAT, before);
        }
        g_autoptr(json_t) page = history_ask(name, "log", query->str, error);
        if (page == NULL) {
            return NULL;
        }
        json_int_t last =
            json_integer_value(json_object_get(json_array_get(page, json_array_size(page) - 1), "number"));
        json_array_extend(all, page);
        if (json_array_size(page) == 0 || last <= 1 || (before > 0 && last >= before) ||
            (most > 0 && json_array_size(all) >= (size_t)most)) {
            break;
        }
        before = last;
    }
    while (most > 0 && json_array_size(all) > (size_t)most) {
        json_array_remove(all, json_array_size(all) - 1);
    }
    return g_steal_pointer(&all);
}

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
    g_autoptr(json_t) list = ask_all(argv[1], argc > 2 ? argv[2] : NULL, most, error);
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
    "The newest first: when, which channel, how (promote, rollback, push, remove; FORCED where gates had refused), "
    "what\n"
    "it names since, who did it and why. What happened before the registry kept such a log is not in it.\n\n"
    "Example:\n  ingot log registry.example/team/web prod\n",
    run};

#include <ingot/error.h>
#include <ingot/remote.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/environment.h"

static int by_tag(const void *a, const void *b)
{
    return ingot_tag_compare(*(char *const *)a, *(char *const *)b);
}

static void print_list(char **list)
{
    g_autoptr(json_t) array = json_array();
    for (guint i = 0; list[i] != NULL; i++) {
        if (ingot_tag_is_referrers(list[i])) {
            continue;
        }
        if (ingot_command_common()->json) {
            json_array_append_new(array, json_string(list[i]));
        } else {
            g_autofree char *shown = ingot_text_line(list[i]);
            printf("%s\n", shown);
        }
    }
    if (ingot_command_common()->json) {
        cli_print_json(array);
    }
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_ls, NULL, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) where = ingot_reference_parse_location(argv[1], error);
    if (where != NULL && (where->tag != NULL || where->digest != NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: HOST[/NAME] is expected; `ingot show --pull=always` tells of one image", argv[1]);
        return FALSE;
    }
    g_autoptr(IngotRemote) remote = where == NULL ? NULL : environment_remote(where->host, error);
    if (remote == NULL) {
        return FALSE;
    }
    g_auto(GStrv) list = where->name == NULL ? ingot_remote_list_names(remote, error)
                                             : ingot_remote_list_tags(remote, where->name, error);
    if (list == NULL) {
        return FALSE;
    }
    if (where->name != NULL) {
        qsort(list, g_strv_length(list), sizeof *list, by_tag);
    }
    print_list(list);
    return TRUE;
}

const IngotVerb verb_ls = {"ls", "HOST[/NAME]", "list a registry's names, or the tags of a name",
                           "Examples:\n  ingot ls registry.example\n  ingot ls registry.example/team/web\n", run};

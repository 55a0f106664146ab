#include "pipeline/verb.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "pipeline/file.h"
#include "remote/api.h"
#include "remote/environment.h"

/* What the registry found wrong, with its places in the file. Always FALSE. */
static gboolean raise_mistakes(PipelineFile *file, const json_t *mistakes, GError **error)
{
    for (size_t i = 0; i < json_array_size(mistakes); i++) {
        const json_t *one = json_array_get(mistakes, i);
        const char *path = json_string_value(json_object_get(one, "path"));
        const char *message = json_string_value(json_object_get(one, "message"));
        pipeline_file_mistake(file, path == NULL ? "" : path, message == NULL ? "it is wrong" : message);
    }
    return diagnostics_raise(file->diagnostics, NULL, error) && FALSE;
}

static void print_changes(const json_t *answer)
{
    const json_t *changes = json_object_get(answer, "changes");
    if (ingot_command_common()->json) {
        g_autofree char *text = ingot_json_pretty(answer);
        fputs(text, stdout);
        return;
    }
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *one = json_array_get(changes, i);
        const char *pattern = json_string_value(json_object_get(one, "pattern"));
        const char *change = json_string_value(json_object_get(one, "change"));
        printf("%s: %s\n", pattern == NULL ? "?" : pattern, change == NULL ? "?" : change);
    }
}

/* *differs: the file would change something. */
static gboolean send_file(const char *host, const char *path, gboolean dry_run, gboolean prune, gboolean *differs,
                          GError **error)
{
    guint status;
    g_autoptr(PipelineFile) file = pipeline_file_read(path, error);
    g_autoptr(json_t) value = file == NULL ? NULL : pipeline_file_json(file, error);
    g_autoptr(IngotRemote) remote = value == NULL ? NULL : environment_remote(host, error);
    g_autofree char *query = g_strdup_printf("pipelines?dry_run=%d&prune=%d", dry_run ? 1 : 0, prune ? 1 : 0);
    g_autoptr(json_t) answer = remote == NULL ? NULL : remote_api(remote, "PUT", query, value, &status, error);
    if (answer == NULL) {
        return FALSE;
    }
    if (json_object_get(answer, "mistakes") != NULL) {
        return raise_mistakes(file, json_object_get(answer, "mistakes"), error);
    }
    *differs = json_array_size(json_object_get(answer, "changes")) > 0;
    print_changes(answer);
    return TRUE;
}

static gboolean show(const char *text, GError **error)
{
    guint status;
    g_autoptr(IngotReference) where = ingot_reference_parse_location(text, error);
    g_autoptr(IngotRemote) remote = where == NULL ? NULL : environment_remote(where->host, error);
    if (remote == NULL) {
        return FALSE;
    }
    g_autofree char *path = where->name == NULL ? g_strdup("pipelines") : g_strdup_printf("%s/pipeline", where->name);
    g_autoptr(json_t) answer = remote_api(remote, "GET", path, NULL, &status, error);
    if (answer != NULL) {
        g_autofree char *pretty = ingot_json_pretty(answer);
        fputs(pretty, stdout);
    }
    return answer != NULL;
}

static gboolean expect(int argc, int wanted, const char *usage, GError **error)
{
    if (argc != wanted) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "usage: ingot pipeline %s", usage);
    }
    return argc == wanted;
}

/* The host alone; NULL: INVALID. Free it. */
static char *host_of(const char *text, GError **error)
{
    g_autoptr(IngotReference) where = ingot_reference_parse_location(text, error);
    if (where != NULL && where->name != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST[:PORT] alone is expected", text);
        return NULL;
    }
    return where == NULL ? NULL : g_strdup(where->host);
}

static gboolean run(int argc, char **argv, GError **error)
{
    gboolean prune = FALSE, differs = FALSE;
    const GOptionEntry entries[] = {
        {"prune", 0, 0, G_OPTION_ARG_NONE, &prune, "apply, diff: pipelines that the file does not have go", NULL},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_pipeline, entries, 2, 3, &argc, &argv, error)) {
        return FALSE;
    }
    if (strcmp(argv[1], "show") == 0) {
        return expect(argc, 3, "show HOST[/NAME]", error) && show(argv[2], error);
    }
    gboolean diff = strcmp(argv[1], "diff") == 0;
    if (!diff && strcmp(argv[1], "apply") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "pipeline %s: apply, diff or show is expected", argv[1]);
        return FALSE;
    }
    g_autofree char *host =
        expect(argc, 4, diff ? "diff HOST FILE" : "apply HOST FILE", error) ? host_of(argv[2], error) : NULL;
    if (host == NULL || !send_file(host, argv[3], diff, prune, &differs, error)) {
        return FALSE;
    }
    ingot_command_exit_with(diff && differs ? 1 : 0);
    return TRUE;
}

const IngotVerb verb_pipeline = {
    "pipeline", "apply|diff|show HOST[/NAME] [FILE]", "the channels of names, and their gates, as a file says",
    "apply HOST FILE makes the registry's pipelines what the file says; diff HOST FILE says what that would change, "
    "and\n"
    "ends with status 1 where it is anything; show HOST prints all, show HOST/NAME the one that counts for a name. "
    "Files of\n"
    "public keys that the file names (keys:), and of trusted roots (trusted_root:), are read beside it. The right "
    "admin on\n"
    "the pattern is needed.\n\n"
    "Example:\n  ingot pipeline apply registry.example pipelines.yaml\n",
    run};

#include <ingot/error.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "base/text.h"
#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/api.h"
#include "remote/ours.h"

static void print_one(const IngotReference *reference, const json_t *one)
{
    const json_t *tags = json_object_get(one, "tags");
    const char *name = json_string_value(json_object_get(one, "name"));
    const char *digest = json_string_value(json_object_get(one, "digest"));
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_append_printf(line, "%*s%s/%s@%s", 2 * (int)(json_integer_value(json_object_get(one, "depth")) - 1), "",
                           reference->host, name == NULL ? "?" : name, digest == NULL ? "?" : digest);
    for (size_t i = 0; i < json_array_size(tags); i++) {
        g_string_append_printf(line, " %s", json_string_value(json_array_get(tags, i)));
    }
    g_autofree char *shown = ingot_text_line(line->str);
    printf("%s\n", shown);
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_descendants, NULL, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    IngotDescriptor found;
    guint status;
    g_autoptr(IngotReference) reference = cli_remote_reference(argv[1], error);
    g_autoptr(IngotRemoteOptions) options = cli_remote_options(TRUE); /* of a revoked one above all */
    g_autoptr(IngotRemote) remote = reference == NULL ? NULL : ingot_remote_new(reference->host, options, error);
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_transfer_manifest(remote, reference, &found, NULL, error);
    if (bytes == NULL) {
        return FALSE;
    }
    g_autofree char *digest = ingot_digest_to_text(&found.digest);
    g_autofree char *path = g_strdup_printf("%s/descendants/%s", reference->name, digest);
    g_autoptr(json_t) list = remote_api(remote, "GET", path, NULL, &status, error);
    if (list == NULL) {
        return FALSE;
    }
    if (ingot_command_common()->json) {
        cli_print_json(list);
        return TRUE;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        print_one(reference, json_array_get(list, i));
    }
    return TRUE;
}

const IngotVerb verb_descendants = {
    "descendants", "REF", "list all images of a registry that stand on an image",
    "By the digest of the base that each image names, over all repositories that you may pull from: those that were\n"
    "built on it first, then, further in, those that were built on these. Each line ends in the image's tags.\n\n"
    "Example:\n  ingot descendants registry.example/base/debian:12.5.0\n",
    run};

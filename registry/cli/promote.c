#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>

#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/environment.h"

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_promote, NULL, 3, 3, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) where = cli_remote_reference(argv[1], error);
    IngotDigest exact;
    gboolean by_digest = strchr(argv[2], ':') != NULL;
    if (where == NULL || !(by_digest ? ingot_digest_parse(argv[2], &exact, error) : ingot_tag_check(argv[2], error)) ||
        !ingot_tag_check(argv[3], error)) {
        return FALSE;
    }
    if (where->tag != NULL || where->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: HOST/NAME is expected; FROM and TO are the tags",
                    argv[1]);
        return FALSE;
    }
    g_autoptr(IngotReference) from =
        ingot_reference_new(where->host, where->name, by_digest ? NULL : argv[2], by_digest ? argv[2] : NULL);
    g_autoptr(IngotRemote) remote = environment_remote(where->host, error);
    IngotDescriptor manifest;
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_transfer_manifest(remote, from, &manifest, &type, error);
    if (bytes == NULL ||
        !ingot_remote_put_manifest(remote, where->name, argv[3], g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes),
                                   type == NULL ? INGOT_TYPE_MANIFEST : type, error)) {
        return FALSE;
    }
    g_autofree char *text = g_strdup_printf("%s:%s", argv[1], argv[3]);
    cli_print_result(text, &manifest.digest);
    return TRUE;
}

const IngotVerb verb_promote = {
    "promote", "HOST/NAME FROM TO", "give the manifest of one tag another tag",
    "FROM is a tag or a digest, TO a tag (dev, test, prod, a version). No byte of the disk moves.\n\n"
    "Example:\n  ingot promote registry.example/team/web dev test\n",
    run};

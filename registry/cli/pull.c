#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>
#include <unistd.h>

#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/environment.h"
#include "transfer/allowed.h"
#include "transfer/platform.h"

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CliOutput, cli_output_clear)

static gboolean write_output(IngotStore *store, const char *name, const IngotDigest *digest, const CliOutput *output,
                             const IngotFormat *format, GError **error)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    g_autoptr(IngotReference) exact = ingot_reference_new(NULL, name, NULL, text);
    g_autoptr(IngotImage) image = ingot_store_image(store, exact, error);
    g_autoptr(IngotRemoteOptions) options = cli_remote_options(TRUE);
    return image != NULL && platform_check(image->config, options, name, error) &&
           cli_output_write(output, image, format, error);
}

/* From its registry, or, where the name has no host, what the store has. *name: what the store calls it. */
static gboolean get_image(IngotStore *store, IngotReference *reference, gboolean allow, char **name,
                          IngotDescriptor *manifest, GError **error)
{
    g_autoptr(IngotRemoteOptions) remote = cli_remote_options(allow);
    const IngotPullOptions options = {.progress = ingot_command_progress(), .remote = remote};
    if (reference->host != NULL) {
        *name = g_strdup_printf("%s/%s", reference->host, reference->name);
        return ingot_transfer_pull(store, reference, &options, manifest, NULL, error);
    }
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, error);
    if (entry == NULL) {
        return FALSE;
    }
    *name = g_strdup(entry->name);
    *manifest = entry->manifest;
    if (reference->tag == NULL && reference->digest == NULL) {
        reference->tag = g_strdup(entry->tag);
    }
    return allowed_stored(store, reference, entry, &options, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(CliOutput) output = {0};
    g_autofree char *policy = NULL, *architecture = NULL;
    gboolean allow = FALSE;
    const GOptionEntry entries[] = {CLI_OUTPUT_OPTIONS(output), CLI_ALLOW_OPTION(allow), CLI_POLICY_OPTION(policy),
                                    CLI_ARCH_OPTION(architecture), G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(&verb_pull, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_policy(policy);
    environment_use_architecture(architecture);
    const IngotFormat *format = cli_output_format(&output, error);
    g_autoptr(IngotReference) reference = format == NULL ? NULL : ingot_reference_parse(argv[1], error);
    if (reference == NULL) {
        return FALSE;
    }
    if (reference->host == NULL && output.path == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s has no host: it is a local image, which needs no pull; -o FILE writes its disk", argv[1]);
        return FALSE;
    }
    IngotDescriptor manifest;
    g_autofree char *name = NULL;
    g_autoptr(IngotStore) store = cli_store(error);
    if (store == NULL || !get_image(store, reference, allow, &name, &manifest, error) ||
        (output.path != NULL && !write_output(store, name, &manifest.digest, &output, format, error))) {
        return FALSE;
    }
    if (!cli_output_is_stream(&output)) {
        g_autofree char *text = ingot_reference_to_text(reference);
        cli_print_result(text, &manifest.digest);
    }
    return TRUE;
}

const IngotVerb verb_pull = {
    "pull", "REF", "fetch an image from a registry",
    "Only chunks that no image of the store has cross the network; a pull that was cut off goes on where it was.\n"
    "An image that its registry has revoked or disabled is refused (exit status 3), with who did that and why; one "
    "that\n"
    "is deprecated, or stands on a revoked base, comes with a warning.\n\n"
    "Examples:\n  ingot pull registry.example/team/web:prod\n"
    "  ingot pull registry.example/team/web:prod -F qcow2 -o web.qcow2\n",
    run};

#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "cli/common.h"
#include "cli/verbs.h"
#include "remote/environment.h"
#include "transfer/asks.h"

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CliOutput, cli_output_clear)

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(CliOutput) output = {0};
    g_autofree char *when = NULL, *policy = NULL, *architecture = NULL;
    gboolean allow = FALSE;
    const GOptionEntry entries[] = {CLI_OUTPUT_OPTIONS(output), CLI_PULL_OPTION(when),         CLI_ALLOW_OPTION(allow),
                                    CLI_POLICY_OPTION(policy),  CLI_ARCH_OPTION(architecture), G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(&verb_export, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_policy(policy);
    environment_use_architecture(architecture);
    if (output.path == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--output FILE is missing; `ingot export --help` tells more");
        return FALSE;
    }
    const IngotFormat *format = cli_output_format(&output, error);
    g_autoptr(IngotReference) reference = format == NULL ? NULL : ingot_reference_parse(argv[1], error);
    IngotPull pull;
    g_autoptr(IngotStore) store =
        reference == NULL || !ingot_pull_parse(when, reference, &pull, error) ? NULL : cli_store_to_read();
    g_autoptr(IngotRemoteOptions) remote = cli_remote_options(allow);
    const IngotPullOptions options = {.progress = ingot_command_progress(), .remote = remote};
    g_autoptr(IngotImage) image = store == NULL ? NULL : ingot_transfer_image(store, reference, pull, &options, error);
    return image != NULL && cli_output_write(&output, image, format, error);
}

const IngotVerb verb_export = {
    "export", "REF", "write an image's disks as files of some format",
    "The file is worked out from the stored disk, every chunk of which is checked on the way; what the image lacks is\n"
    "pulled first where its name has a host. Nothing is at FILE until it is whole. As after cp,\n"
    "it is up to the system when it is on the disk: `sync FILE` waits for that. A format of several files (vmx) "
    "becomes\n"
    "a new folder of that name; and so do several disks in a format of disks (raw, qcow2, vmdk, …): disk0.qcow2, "
    "disk1.qcow2.\n"
    "A format of machines (ova, vagrant-…) has all of them in its one file. --disk N writes one disk alone.\n\n"
    "Examples:\n  ingot export team/web:1.0.0 -F vmdk -o web.vmdk\n"
    "  ingot export team/web:1.0.0 -F ova -o web.ova\n"
    "  ingot export team/web:1.0.0 -F qcow2 --disk 1 -o data.qcow2\n"
    "  ingot export team/web:1.0.0 -o - | ssh host 'cat >web.raw'\n",
    run};

#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/transfer.h>
#include <stdio.h>

#include "cli/common.h"
#include "cli/verbs.h"

typedef struct {
    char *format, *output;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->format);
    g_free(arguments->output);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"format", 'F', 0, G_OPTION_ARG_STRING, &arguments.format, "what to write it as: `ingot formats` lists them",
         "FORMAT"},
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &arguments.output, "the file to write", "FILE"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_export, entries, 1, 1, &argc, &argv, error)) {
        return FALSE;
    }
    if (arguments.format == NULL || arguments.output == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s is missing; `ingot export --help` tells more",
                    arguments.format == NULL ? "--format FORMAT" : "--output FILE");
        return FALSE;
    }
    const IngotFormat *format = ingot_format_find(arguments.format, error);
    g_autoptr(IngotReference) reference = format == NULL ? NULL : ingot_reference_parse(argv[1], error);
    g_autoptr(IngotStore) store = reference == NULL ? NULL : cli_store_to_read();
    g_autoptr(IngotImage) image =
        store == NULL ? NULL : ingot_transfer_image(store, reference, ingot_command_progress(), error);
    return image != NULL && cli_export(image, format, arguments.output, error);
}

const IngotVerb verb_export = {
    "export", "REF", "write an image's disk as a file of some format",
    "The file is worked out from the stored disk, every chunk of which is checked on the way; what the image lacks is\n"
    "pulled first where its name has a host. Nothing is at FILE until it is whole. A format of several files (vmx) "
    "becomes\n"
    "a new folder of that name.\n\n"
    "Examples:\n  ingot export team/web:1.0.0 --format vmdk -o web.vmdk\n"
    "  ingot export team/web:1.0.0 --format ova -o web.ova\n",
    run};

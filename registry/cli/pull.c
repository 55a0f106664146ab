#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>
#include <unistd.h>

#include "cli/common.h"
#include "cli/verbs.h"

typedef struct {
    char *output, *format;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->output);
    g_free(arguments->format);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

static gboolean stream(const IngotImage *image, GError **error)
{
    IngotProgress *progress = ingot_command_progress();
    g_autoptr(IngotDisk) disk = ingot_disk_open(image->disk_path, image->index, error);
    if (disk == NULL) {
        return FALSE;
    }
    ingot_progress_begin(progress, image->index->disk_size, "write -");
    if (!ingot_disk_stream(disk, STDOUT_FILENO, progress, error)) {
        return FALSE;
    }
    ingot_progress_end(progress, NULL);
    return TRUE;
}

static gboolean write_output(IngotStore *store, const IngotReference *reference, const IngotDigest *digest,
                             const char *output, const IngotFormat *format, GError **error)
{
    g_autofree char *text = ingot_digest_to_text(digest);
    g_autoptr(IngotReference) exact = ingot_reference_new(reference->host, reference->name, NULL, text);
    g_autoptr(IngotImage) image = ingot_store_image(store, exact, error);
    return image != NULL &&
           (strcmp(output, "-") == 0 ? stream(image, error) : cli_export(image, format, output, error));
}

/* From its registry, or, where the name has no host, what the store has. */
static gboolean get_image(IngotStore *store, IngotReference *reference, IngotDescriptor *manifest, GError **error)
{
    if (reference->host != NULL) {
        return ingot_transfer_pull(store, reference, ingot_command_progress(), manifest, NULL, error);
    }
    g_autoptr(IngotStoreEntry) entry = ingot_store_find(store, reference, error);
    if (entry == NULL) {
        return FALSE;
    }
    *manifest = entry->manifest;
    if (reference->tag == NULL && reference->digest == NULL) {
        reference->tag = g_strdup(entry->tag);
    }
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"output", 'o', 0, G_OPTION_ARG_FILENAME, &arguments.output, "Write the disk as a file too (-: stdout, raw)",
         "FILE"},
        {"format", 0, 0, G_OPTION_ARG_STRING, &arguments.format, "of it: raw is the default, `ingot formats` lists all",
         "FORMAT"},
        G_OPTION_ENTRY_NULL,
    };
    const IngotFormat *format = ingot_format_raw;
    if (!ingot_command_options(&verb_pull, entries, 1, 1, &argc, &argv, error) ||
        (arguments.format != NULL && (format = ingot_format_find(arguments.format, error)) == NULL)) {
        return FALSE;
    }
    gboolean to_stdout = g_strcmp0(arguments.output, "-") == 0;
    g_autoptr(IngotReference) reference = ingot_reference_parse(argv[1], error);
    if (reference == NULL) {
        return FALSE;
    }
    if ((to_stdout && format != ingot_format_raw) || (arguments.output == NULL && arguments.format != NULL) ||
        (reference->host == NULL && arguments.output == NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s",
                    to_stdout ? "only raw can go to stdout"
                    : arguments.format != NULL
                        ? "--format says how -o FILE is written: -o is missing"
                        : "the name has no host: it is a local image, which needs no pull; -o FILE writes its disk");
        return FALSE;
    }
    IngotDescriptor manifest;
    g_autoptr(IngotStore) store = cli_store(error);
    if (store == NULL || !get_image(store, reference, &manifest, error) ||
        (arguments.output != NULL &&
         !write_output(store, reference, &manifest.digest, arguments.output, format, error))) {
        return FALSE;
    }
    if (!to_stdout) {
        g_autofree char *text = ingot_reference_to_text(reference);
        cli_print_result(text, &manifest.digest);
    }
    return TRUE;
}

const IngotVerb verb_pull = {
    "pull", "REF", "fetch an image from a registry",
    "Only chunks that no image of the store has cross the network; a pull that was cut off goes on where it was.\n\n"
    "Examples:\n  ingot pull registry.example/team/web:prod\n"
    "  ingot pull registry.example/team/web:prod -o web.qcow2 --format qcow2\n",
    run};

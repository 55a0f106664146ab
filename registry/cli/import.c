/* ingot import: images of what another place has. */
#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/common.h"
#include "cli/storebox.h"
#include "cli/verbs.h"
#include "image/architecture.h"
#include "import/boximage.h"

typedef struct {
    char *version, *provider, *architecture;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    g_free(arguments->version);
    g_free(arguments->provider);
    g_free(arguments->architecture);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Arguments, arguments_clear)

/* By Vagrant's word for it, whichever was given. */
static gboolean settle_architecture(Arguments *arguments, GError **error)
{
    const char *known = architecture_word(arguments->architecture);
    if (arguments->architecture != NULL && known == NULL && strcmp(arguments->architecture, "unknown") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--arch %s: an architecture is expected, like amd64 or arm64, or 'unknown' for boxes that say none",
                    arguments->architecture);
        return FALSE;
    }
    if (known != NULL) {
        g_free(arguments->architecture);
        arguments->architecture = g_strdup(known);
    }
    return TRUE;
}

static void print_report(const StoreBoxes *boxes, const BoxReport *report)
{
    if (ingot_command_common()->json) {
        g_autoptr(json_t) object =
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:O}", "boxes", (json_int_t)report->boxes, "files",
                      (json_int_t)report->files, "received", (json_int_t)report->received, "failed",
                      (json_int_t)report->failed, "left", (json_int_t)report->left, "images", boxes->images);
        cli_print_json(object);
    }
}

static gboolean import(const char *url, char **names, const Arguments *arguments, GError **error)
{
    g_autofree char *absolute = g_canonicalize_filename(ingot_command_common()->cache, NULL);
    g_autofree char *folder = g_build_filename(absolute, "imports", NULL);
    g_autofree char *lock_path = g_strconcat(folder, ".lock", NULL);
    g_autoptr(IngotStore) store = cli_store(error);
    if (store == NULL || !ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    g_autoptr(IngotLock) lock = ingot_lock_take(lock_path, TRUE, TRUE, error);
    g_autoptr(json_t) images = json_array();
    BoxImport all = {.from = url,
                     .names = (const char *const *)names,
                     .folder = folder,
                     .version = arguments->version,
                     .provider = arguments->provider,
                     .architecture = arguments->architecture,
                     .progress = ingot_command_progress()};
    StoreBoxes boxes = {store, &all, images};
    const BoxSink sink = store_boxes_sink(&boxes);
    BoxReport report;
    all.sink = &sink;
    if (lock == NULL || !box_import(&all, &report, error)) {
        return FALSE;
    }
    print_report(&boxes, &report);
    if (report.failed > 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED,
                    "%" G_GUINT64_FORMAT " boxes could not be had; the rest was: the same command goes on with them",
                    report.failed);
    }
    return report.failed == 0;
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(Arguments) arguments = {0};
    const GOptionEntry entries[] = {
        {"version", 0, 0, G_OPTION_ARG_STRING, &arguments.version, "That version alone", "VERSION"},
        {"provider", 0, 0, G_OPTION_ARG_STRING, &arguments.provider, "Boxes for that provider alone", "PROVIDER"},
        {"arch", 0, 0, G_OPTION_ARG_STRING, &arguments.architecture, "Boxes for that architecture alone", "ARCH"},
        G_OPTION_ENTRY_NULL,
    };
    if (!ingot_command_options(&verb_import, entries, 2, -1, &argc, &argv, error)) {
        return FALSE;
    }
    if (strcmp(argv[1], "vagrant") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: only catalogues of Vagrant boxes are imported: ingot import vagrant URL [ORG/BOX]...",
                    argv[1]);
        return FALSE;
    }
    return (arguments.provider == NULL || box_image_form(arguments.provider, error) != NULL) &&
           settle_architecture(&arguments, error) && import(argv[2], argv + 3, &arguments, error);
}

const IngotVerb verb_import = {
    "import", "vagrant URL [ORG/BOX]...", "make images of the boxes of a Vagrant catalogue",
    "URL is a site that speaks Vagrant Cloud's API (1 or 2), HCP's, or Vagrant's own catalogue (another ingotd, "
    "say), a file of\n"
    "such a catalogue (https://HOST/web.json), or a folder of files (file:///FOLDER, with ORG/BOX or ORG/BOX.json). "
    "ORG/* is\n"
    "all of an organisation; without names all of the site's boxes come. Checksums are checked; what breaks off is "
    "gone on with\n"
    "by the same command, and what the store has already does not come again.\n\n"
    "Example:\n  ingot import vagrant https://vagrantcloud.com generic/debian12 --provider libvirt\n"
    "  ingot push generic/debian12:4.3.12-libvirt-amd64 registry.example/generic/debian12:4.3.12\n",
    run};

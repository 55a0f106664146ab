#include <ingot/error.h>
#include <ingot/transfer.h>

#include "cli/common.h"
#include "cli/verbs.h"

/* Without a destination the image's own name says where to: it was pulled, or built as HOST/NAME. */
static IngotReference *find_destination(const IngotReference *image, const char *text, GError **error)
{
    if (text != NULL) {
        return cli_remote_reference(text, error);
    }
    if (image->host == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s is a local name: say where to push it, as in `ingot push %s 127.0.0.1:5000/%s`", image->name,
                    image->name, image->name);
        return NULL;
    }
    return ingot_reference_new(image->host, image->name, image->tag, NULL);
}

static gboolean run(int argc, char **argv, GError **error)
{
    if (!ingot_command_options(&verb_push, NULL, 1, 2, &argc, &argv, error)) {
        return FALSE;
    }
    g_autoptr(IngotReference) image = ingot_reference_parse(argv[1], error);
    g_autoptr(IngotReference) destination =
        image == NULL ? NULL : find_destination(image, argc > 2 ? argv[2] : NULL, error);
    g_autoptr(IngotStore) store = destination == NULL ? NULL : cli_store_to_read();
    g_autoptr(IngotStoreEntry) entry = store == NULL ? NULL : ingot_store_find(store, image, error);
    if (entry == NULL) {
        return FALSE;
    }
    if (destination->tag == NULL) {
        destination->tag = g_strdup(entry->tag);
    }
    IngotDescriptor manifest;
    if (!ingot_transfer_push(store, image, destination, ingot_command_progress(), &manifest, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_reference_to_text(destination);
    cli_print_result(text, &manifest.digest);
    return TRUE;
}

const IngotVerb verb_push = {"push", "IMAGE [DESTINATION]", "send an image to a registry",
                             "Blobs that the registry has are not sent again, and to ingotd only those parts of the "
                             "disk that it lacks. Without a tag the destination takes the image's.\n\n"
                             "Example:\n  ingot push team/web:1.0.0 registry.example/team/web:1.0.0\n",
                             run};

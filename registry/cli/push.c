#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>

#include "cli/common.h"
#include "cli/pushseveral.h"
#include "cli/verbs.h"
#include "store/meant.h"

#define IMAGES_MAX 32

/* Without a destination the image's own name says where to: it was pulled, or built as HOST/NAME. */
static IngotReference *find_destination(const IngotReference *image, const char *text, GError **error)
{
    if (text != NULL) {
        return cli_remote_reference(text, error);
    }
    if (image->host == NULL) {
        g_autofree char *local = ingot_reference_to_text(image);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s is of the store: say where to push it, as in `ingot push %s 127.0.0.1:5000/team/web`", local,
                    local);
        return NULL;
    }
    return ingot_reference_new(image->host, image->name, image->digest == NULL ? image->tag : NULL, NULL);
}

/* An image that is given without its digest goes by its tag. One that is given by it goes by it alone, unless the
 * destination has a tag: which tags it has here, or had, nobody has said. */
static gboolean complete_destination(IngotReference *destination, const IngotReference *image,
                                     const IngotStoreEntry *entry, GError **error)
{
    g_autofree char *digest = ingot_digest_to_text(&entry->manifest.digest);
    if (destination->digest != NULL && strcmp(destination->digest, digest) != 0) {
        g_autofree char *text = ingot_reference_to_text(destination);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the image has another digest, %s", text, digest);
        return FALSE;
    }
    /* sha256:HEX alone has HEX for a tag, which is none of the image's. */
    gboolean by_tag = image->digest == NULL && (image->tag == NULL || g_strcmp0(image->tag, entry->tag) == 0);
    if (destination->tag == NULL && destination->digest == NULL && by_tag) {
        destination->tag = g_strdup(entry->tag);
    }
    g_clear_pointer(&destination->digest, g_free);
    destination->digest = destination->tag == NULL ? g_steal_pointer(&digest) : NULL;
    return TRUE;
}

static gboolean push_one(const char *name, const char *where, GError **error)
{
    g_autoptr(IngotReference) image = ingot_reference_parse(name, error);
    g_autoptr(IngotReference) destination = image == NULL ? NULL : find_destination(image, where, error);
    g_autoptr(IngotStore) store = destination == NULL ? NULL : cli_store_to_read();
    g_autoptr(IngotStoreEntry) entry = store == NULL ? NULL : meant_image(store, image, error);
    if (entry == NULL) {
        return FALSE;
    }
    /* What was found is pushed, whatever its name is given to meanwhile. */
    g_autofree char *digest = ingot_digest_to_text(&entry->manifest.digest);
    g_autoptr(IngotReference) exact = ingot_reference_new(NULL, entry->name, entry->tag, digest);
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    const IngotPushOptions options = {.progress = ingot_command_progress(), .remote = remote};
    IngotDescriptor manifest;
    if (!complete_destination(destination, image, entry, error) ||
        !ingot_transfer_push(store, exact, destination, &options, &manifest, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_reference_to_text(destination);
    cli_print_result(text, &manifest.digest);
    return TRUE;
}

static gboolean run(int argc, char **argv, GError **error)
{
    gboolean add = FALSE;
    const GOptionEntry entries[] = {
        {"add", 0, 0, G_OPTION_ARG_NONE, &add, "beside what DESTINATION has for other architectures", NULL},
        G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(&verb_push, entries, 1, IMAGES_MAX + 1, &argc, &argv, error)) {
        return FALSE;
    }
    if (add && argc < 3) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--add: to what? DESTINATION is missing");
        return FALSE;
    }
    return add || argc > 3 ? push_several(argv + 1, (guint)argc - 2, argv[argc - 1], add, error)
                           : push_one(argv[1], argc > 2 ? argv[2] : NULL, error);
}

const IngotVerb verb_push = {
    "push", "IMAGE... [DESTINATION]", "send an image to a registry, or several under one tag",
    "Blobs that the registry has are not sent again, and to ingotd only those parts of the "
    "disk that it lacks. Without a tag the destination takes the image's; an image that is given by its "
    "digest is sent by that alone then, and moves no tag.\n\n"
    "Several images, for as many architectures, become one OCI index under DESTINATION's tag: whoever pulls it gets "
    "his\n"
    "machine's. With --add an image joins those that are there; two that do so at once both come in,\n"
    "where the registry is ingotd, or writes only over what was read.\n\n"
    "Examples:\n  ingot push team/web:1.0.0 registry.example/team/web:1.0.0\n"
    "  ingot push web-amd64:1.0.0 web-arm64:1.0.0 registry.example/team/web:1.0.0\n"
    "  ingot push --add web-riscv64:1.0.0 registry.example/team/web:1.0.0\n",
    run};

#include "cli/pushseveral.h"

#include <ingot/error.h>
#include <ingot/transfer.h>

#include "base/command.h"
#include "cli/common.h"
#include "image/architecture.h"
#include "store/meant.h"
#include "transfer/indexed.h"

/* Images that one tag is to name. */
typedef struct {
    IngotStore *store;
    IngotReference *destination;
    GPtrArray *images; /* of IngotImage */
    IngotPushOptions options;
} Several;

static void free_image(gpointer image)
{
    ingot_image_free(image);
}

static void several_clear(Several *several)
{
    g_clear_pointer(&several->images, g_ptr_array_unref);
    g_clear_pointer(&several->destination, ingot_reference_free);
    g_clear_pointer(&several->store, ingot_store_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Several, several_clear)

static gboolean several_open(Several *several, char **images, guint count, GError **error)
{
    several->images = g_ptr_array_new_with_free_func(free_image);
    for (guint i = 0; i < count; i++) {
        g_autoptr(IngotReference) reference = ingot_reference_parse(images[i], error);
        IngotImage *image = reference == NULL ? NULL : meant_image_open(several->store, reference, error);
        if (image == NULL) {
            return FALSE;
        }
        g_ptr_array_add(several->images, image);
    }
    return TRUE;
}

/* Without a tag, the images' own, which must be one. */
static gboolean several_tag(const Several *several, GError **error)
{
    IngotReference *destination = several->destination;
    const IngotImage *first = g_ptr_array_index(several->images, 0);
    gboolean one = destination->digest == NULL;
    for (guint i = 0; destination->tag == NULL && i < several->images->len; i++) {
        const IngotImage *image = g_ptr_array_index(several->images, i);
        one = one && image->entry->tag != NULL && g_strcmp0(image->entry->tag, first->entry->tag) == 0;
    }
    if (!one) {
        g_autofree char *text = ingot_reference_to_text(destination);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the tag is missing that is to name the images", text);
        return FALSE;
    }
    if (destination->tag == NULL) {
        destination->tag = g_strdup(first->entry->tag);
    }
    return TRUE;
}

/* The images go by their digests; what names them is put when all are there. */
static gboolean several_push(const Several *several, gboolean add, IngotDescriptor *index, GError **error)
{
    const IngotReference *destination = several->destination;
    g_autoptr(GArray) indexed = g_array_new(FALSE, FALSE, sizeof(IndexedImage));
    for (guint i = 0; i < several->images->len; i++) {
        const IngotImage *image = g_ptr_array_index(several->images, i);
        const char *said = json_string_value(json_object_get(image->config, "architecture"));
        const IndexedImage one = {.manifest = image->entry->manifest, .architecture = architecture_plain(said)};
        g_array_append_val(indexed, one);
    }
    const IndexedImage *all = (const IndexedImage *)(gpointer)indexed->data;
    if (!indexed_check(all, indexed->len, error)) {
        return FALSE;
    }
    for (guint i = 0; i < several->images->len; i++) {
        const IngotImage *image = g_ptr_array_index(several->images, i);
        g_autofree char *digest = ingot_digest_to_text(&image->entry->manifest.digest);
        g_autoptr(IngotReference) exact = ingot_reference_new(NULL, image->entry->name, image->entry->tag, digest);
        g_autoptr(IngotReference) there = ingot_reference_new(destination->host, destination->name, NULL, digest);
        IngotDescriptor manifest;
        if (!ingot_transfer_push(several->store, exact, there, &several->options, &manifest, error)) {
            return FALSE;
        }
    }
    g_autoptr(IngotRemote) remote = ingot_remote_new(destination->host, several->options.remote, error);
    return remote != NULL && indexed_put(remote, destination, all, indexed->len, add, index, error);
}

gboolean push_several(char **images, guint count, const char *destination, gboolean add, GError **error)
{
    g_autoptr(IngotRemoteOptions) remote = ingot_remote_options_from_environment();
    g_auto(Several) several = {.destination = cli_remote_reference(destination, error),
                               .options = {.progress = ingot_command_progress(), .remote = remote}};
    several.store = several.destination == NULL ? NULL : cli_store_to_read();
    IngotDescriptor index;
    if (several.store == NULL || !several_open(&several, images, count, error) || !several_tag(&several, error) ||
        !several_push(&several, add, &index, error)) {
        return FALSE;
    }
    g_autofree char *text = ingot_reference_to_text(several.destination);
    cli_print_result(text, &index.digest);
    return TRUE;
}

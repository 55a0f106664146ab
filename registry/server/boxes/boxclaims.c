#include "server/boxes/boxclaims.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "server/storage/growth.h"
#include "server/storage/mentions.h"
#include "server/views/traits.h"
#include "vagrant/providers.h"

const char *box_claims_provider(const char *provider)
{
    const VagrantForm *form = vagrant_form_of(provider);
    return form == NULL ? provider : form->provider;
}

static gboolean is_same_box(const BoxProviderRecord *record, const BoxProviderKey *key)
{
    return strcmp(record->architecture, key->architecture) == 0 &&
           strcmp(box_claims_provider(record->provider), box_claims_provider(key->provider)) == 0;
}

/* *said: the image has a record. */
static gboolean is_recorded_for(const BoxRecords *records, const BoxProviderKey *key, const char *image, gboolean *said)
{
    const GPtrArray *all = box_records_providers(records, key->version);
    *said = FALSE;
    for (guint i = 0; all != NULL && i < all->len; i++) {
        const BoxProviderRecord *one = g_ptr_array_index(all, i);
        if (g_strcmp0(json_string_value(json_object_get(one->body, "image")), image) == 0) {
            *said = TRUE;
            if (is_same_box(one, key)) {
                return TRUE;
            }
        }
    }
    return FALSE;
}

static json_t *read_config(Storage *storage, const char *name, const IngotDigest *image)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, image, &type, NULL);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    gboolean is_disk = g_strcmp0(json_string_value(json_object_get(root, "artifactType")), INGOT_TYPE_IMAGE) == 0;
    return is_disk ? growth_config(storage, name, root, NULL) : NULL;
}

static gboolean is_made_for(Storage *storage, const char *name, const BoxProviderKey *key, const IngotDigest *image)
{
    const VagrantForm *form = vagrant_form_of(key->provider);
    g_autoptr(json_t) config = form == NULL ? NULL : read_config(storage, name, image);
    const char *word = json_string_value(json_object_get(config, "architecture"));
    const json_t *outputs = json_object_get(config, "outputs"); /* none: it is meant for all */
    return config != NULL && (json_array_size(outputs) == 0 || ingot_json_has_text(outputs, form->format)) &&
           strcmp(view_architecture(word), key->architecture) == 0;
}

gboolean box_claims_check(Storage *storage, const char *name, const BoxRecords *records, const BoxProviderKey *key,
                          const IngotDigest *own, const GArray *images, GError **error)
{
    for (guint i = 0; i < images->len; i++) {
        gboolean said;
        const IngotDigest *image = &g_array_index(images, IngotDigest, i);
        g_autofree char *text = ingot_digest_to_text(image);
        if (own != NULL && ingot_digest_equal(own, image)) {
            continue;
        }
        if (is_recorded_for(records, key, text, &said) || (!said && is_made_for(storage, name, key, image))) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "%s %s: provider %s for %s: %.19s of this version is its box already, and a catalogue has one: "
                        "publish a new version, or remove this provider",
                        name, key->version, key->provider, key->architecture, text);
            return FALSE;
        }
    }
    return TRUE;
}

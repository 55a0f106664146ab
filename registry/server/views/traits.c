#include "server/views/traits.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "image/architecture.h"

#define KEPT "traits/" INGOT_VERSION
#define KEPT_VALUES 256 /* of the JSON that is kept: one a format */

void view_traits_free(ViewTraits *traits)
{
    g_free(traits->architecture);
    g_ptr_array_unref(traits->formats);
    g_free(traits);
}

static ViewTraits *traits_new(const char *architecture)
{
    ViewTraits *traits = g_new0(ViewTraits, 1);
    *traits = (ViewTraits){.architecture = g_strdup(architecture), .formats = g_ptr_array_new()};
    return traits;
}

const char *view_architecture(const char *word)
{
    return word == NULL ? "unknown" : architecture_plain(word);
}

gboolean view_traits_fit(const ViewTraits *traits, const IngotFormat *format)
{
    return traits->architecture != NULL && (format == NULL || g_ptr_array_find(traits->formats, format, NULL));
}

/* --- what is kept: {"architecture": "amd64", "formats": ["raw", …]}; no architecture: it is not an image --- */

static void traits_keep(Storage *storage, const IngotDigest *manifest, const ViewTraits *traits)
{
    g_autoptr(json_t) body = json_object(), formats = json_array();
    for (guint i = 0; i < traits->formats->len; i++) {
        const IngotFormat *format = g_ptr_array_index(traits->formats, i);
        json_array_append_new(formats, json_string(format->name));
    }
    json_object_set(body, "formats", formats);
    if (traits->architecture != NULL) {
        json_object_set_new(body, "architecture", ingot_json_text(traits->architecture));
    }
    char *text = ingot_json_canonical(body);
    g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));
    storage_keep_measure(storage, manifest, KEPT, value);
}

/* NULL: nothing is kept, or it can't be read. */
static ViewTraits *traits_kept(Storage *storage, const IngotDigest *manifest)
{
    g_autoptr(GBytes) kept = storage_measure(storage, manifest, KEPT);
    g_autoptr(json_t) root = kept == NULL ? NULL : ingot_json_parse_bytes(kept, "traits", KEPT_VALUES, NULL);
    const json_t *formats = json_object_get(root, "formats");
    if (!json_is_array(formats)) {
        return NULL;
    }
    ViewTraits *traits = traits_new(json_string_value(json_object_get(root, "architecture")));
    for (size_t i = 0; i < json_array_size(formats); i++) {
        const char *name = json_string_value(json_array_get(formats, i));
        const IngotFormat *format = name == NULL ? NULL : ingot_format_find(name, NULL);
        if (format != NULL) {
            g_ptr_array_add(traits->formats, (gpointer)format);
        }
    }
    return traits;
}

/* --- what is worked out --- */

static ViewTraits *traits_of_image(const ViewImage *image)
{
    const char *word = json_string_value(json_object_get(image->config, "architecture"));
    ViewTraits *traits = traits_new(view_architecture(word));
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        if (view_image_is_for(image, (*format)->name) && view_image_can(image, *format, NULL)) {
            g_ptr_array_add(traits->formats, (gpointer)*format);
        }
    }
    return traits;
}

/* An index may name what is not an image of Ingot's: that is no error. */
static ViewTraits *traits_work_out(Views *views, const char *name, const IngotDigest *manifest, GError **error)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(views_storage(views), name, manifest, &type, error);
    if (bytes == NULL) {
        return NULL;
    }
    g_autoptr(IngotManifest) parsed =
        ingot_manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    g_autoptr(ViewImage) image = parsed == NULL ? NULL : views_described(views, name, manifest, error);
    return parsed == NULL ? traits_new(NULL) : image == NULL ? NULL : traits_of_image(image);
}

ViewTraits *view_traits(Views *views, const char *name, const IngotDigest *manifest, GError **error)
{
    Storage *storage = views_storage(views);
    if (!storage_has_manifest(storage, name, manifest)) {
        g_autofree char *text = ingot_digest_to_text(manifest);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s has no manifest %s", name, text);
        return NULL;
    }
    ViewTraits *traits = traits_kept(storage, manifest);
    if (traits == NULL && (traits = traits_work_out(views, name, manifest, error)) != NULL) {
        traits_keep(storage, manifest, traits);
    }
    return traits;
}

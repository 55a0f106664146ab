#include "server/views/entries.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "server/storage/mentions.h"
#include "vagrant/providers.h"

/* An entry says what it is, or says nothing, as other tools leave it. */
static gboolean is_image(const json_t *entry)
{
    const char *type = json_string_value(json_object_get(entry, "artifactType"));
    return type == NULL || strcmp(type, INGOT_TYPE_IMAGE) == 0;
}

/* NULL: the manifest is no index, or is not here. */
static json_t *read_index(Storage *storage, const char *name, const IngotDigest *manifest)
{
    g_autofree char *type = NULL;
    g_autoptr(GBytes) bytes = storage_manifest(storage, name, manifest, &type, NULL);
    if (bytes == NULL || strcmp(type, INGOT_TYPE_MANIFEST) == 0) {
        return NULL;
    }
    g_autoptr(json_t) root = manifest_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), name, NULL);
    return json_is_array(json_object_get(root, "manifests")) ? g_steal_pointer(&root) : NULL;
}

static GArray *entries_of(Storage *storage, const char *name, const json_t *index)
{
    GArray *images = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    const json_t *entries = json_object_get(index, "manifests");
    for (size_t i = 0; i < MIN(json_array_size(entries), VIEW_ENTRIES_MAX); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *text = json_string_value(json_object_get(entry, "digest"));
        IngotDigest digest;
        if (is_image(entry) && text != NULL && storage_digest(storage, text, &digest, NULL) &&
            storage_has_manifest(storage, name, &digest)) {
            g_array_append_val(images, digest);
        }
    }
    return images;
}

GArray *view_entries(Storage *storage, const char *name, const IngotDigest *manifest)
{
    g_autoptr(json_t) index = read_index(storage, name, manifest);
    if (index != NULL) {
        return entries_of(storage, name, index);
    }
    GArray *images = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    g_array_append_val(images, *manifest);
    return images;
}

/* --- which of them --- */

/* One that can be had, and what it is for. */
typedef struct {
    IngotDigest digest;
    char *architecture;
} Choice;

static void choice_clear(gpointer choice)
{
    g_free(((Choice *)choice)->architecture);
}

static const char *plain_word(const char *architecture)
{
    const char *word = architecture == NULL ? NULL : vagrant_architecture(architecture);
    return word != NULL ? word : architecture == NULL ? "unknown" : architecture;
}

/* Those that are meant for the format. */
static GArray *choices_of(Views *views, const char *name, const GArray *images, const IngotFormat *format)
{
    GArray *choices = g_array_new(FALSE, FALSE, sizeof(Choice));
    g_array_set_clear_func(choices, choice_clear);
    for (guint i = 0; i < images->len; i++) {
        const IngotDigest *digest = &g_array_index(images, IngotDigest, i);
        g_autoptr(ViewImage) image =
            views_may_be_seen(views, name, digest, NULL) ? views_described(views, name, digest, NULL) : NULL;
        if (image != NULL &&
            (format == NULL || (view_image_is_for(image, format->name) && view_image_can(image, format, NULL)))) {
            const char *word = json_string_value(json_object_get(image->config, "architecture"));
            const Choice choice = {.digest = *digest, .architecture = g_strdup(plain_word(word))};
            g_array_append_val(choices, choice);
        }
    }
    return choices;
}

static const Choice *find_choice(const GArray *choices, const char *architecture)
{
    for (guint i = 0; i < choices->len; i++) {
        const Choice *choice = &g_array_index(choices, Choice, i);
        if (strcmp(choice->architecture, architecture) == 0) {
            return choice;
        }
    }
    return NULL;
}

static void refuse_choice(const GArray *choices, const char *name, const char *format, const char *architecture,
                          GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);
    for (guint i = 0; i < choices->len; i++) {
        g_string_append_printf(known, "%s%s", i == 0 ? "" : ", ", g_array_index(choices, Choice, i).architecture);
    }
    if (choices->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: no image of this index is for %s", name,
                    format == NULL ? "any format" : format);
    } else if (architecture == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: images for %s are there: say which, by ?arch=", name,
                    known->str);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: no image of this index is for %s (it has %s)", name,
                    architecture, known->str);
    }
}

gboolean view_choose(Views *views, const char *name, const IngotDigest *manifest, const char *format,
                     const char *architecture, IngotDigest *image, GError **error)
{
    g_autoptr(json_t) index = read_index(views_storage(views), name, manifest);
    const IngotFormat *found = format == NULL ? NULL : ingot_format_find(format, error);
    *image = *manifest;
    if (index == NULL || (format != NULL && found == NULL)) {
        return index == NULL;
    }
    g_autoptr(GArray) images = entries_of(views_storage(views), name, index);
    g_autoptr(GArray) choices = choices_of(views, name, images, found);
    const Choice *choice = find_choice(choices, architecture == NULL ? "amd64" : plain_word(architecture));
    if (choice == NULL && architecture == NULL && choices->len == 1) {
        choice = &g_array_index(choices, Choice, 0);
    }
    if (choice == NULL) {
        refuse_choice(choices, name, format, architecture, error);
        return FALSE;
    }
    *image = choice->digest;
    return TRUE;
}

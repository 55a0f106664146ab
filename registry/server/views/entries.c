#include "server/views/entries.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "server/storage/mentions.h"
#include "server/views/traits.h"

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

typedef struct {
    IngotDigest digest;
    gboolean is_known; /* FALSE: of its digest, nothing is here */
    const char *told;  /* the architecture that the index says, view_architecture; the index's; NULL: it does not */
} Entry;

static const Entry *entry_at(const GArray *entries, guint i)
{
    return &g_array_index(entries, Entry, i);
}

/* Other tools write "unknown" where they can't tell. */
static const char *told_architecture(const json_t *entry)
{
    const char *word = json_string_value(json_object_get(json_object_get(entry, "platform"), "architecture"));
    return word == NULL || strcmp(word, "unknown") == 0 ? NULL : view_architecture(word);
}

/* GArray of Entry: of those that may be images, here or not. */
static GArray *entries_of(Storage *storage, const json_t *index)
{
    GArray *images = g_array_new(FALSE, FALSE, sizeof(Entry));
    const json_t *entries = json_object_get(index, "manifests");
    for (size_t i = 0; i < MIN(json_array_size(entries), VIEW_ENTRIES_MAX); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *text = json_string_value(json_object_get(entry, "digest"));
        if (is_image(entry)) {
            Entry one = {.told = told_architecture(entry)};
            one.is_known = text != NULL && storage_digest(storage, text, &one.digest, NULL);
            g_array_append_val(images, one);
        }
    }
    return images;
}

GArray *view_entries(Storage *storage, const char *name, const IngotDigest *manifest)
{
    g_autoptr(json_t) index = read_index(storage, name, manifest);
    g_autoptr(GArray) entries = index == NULL ? NULL : entries_of(storage, index);
    GArray *images = g_array_new(FALSE, FALSE, sizeof(IngotDigest));
    for (guint i = 0; entries != NULL && i < entries->len; i++) {
        const Entry *entry = entry_at(entries, i);
        if (entry->is_known && storage_has_manifest(storage, name, &entry->digest)) {
            g_array_append_val(images, entry->digest);
        }
    }
    if (entries == NULL) {
        g_array_append_val(images, *manifest);
    }
    return images;
}

/* --- which of them --- */

/* One that is for the format. */
typedef struct {
    const Entry *entry;
    char *architecture; /* as its image says */
} Choice;

static void choice_clear(gpointer choice)
{
    g_free(((Choice *)choice)->architecture);
}

/* Looks at one of them, which is added if it is for the format. What can't be read is an error: it may be the one that
 * is meant. */
static gboolean choices_add(Views *views, const ViewWish *wish, const IngotFormat *format, const Entry *entry,
                            GArray *choices, GError **error)
{
    if (wish->gate != NULL && !wish->gate(wish->user, error)) {
        return FALSE;
    }
    if (!entry->is_known) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: an image of this index is not here", wish->name);
        return FALSE;
    }
    g_autoptr(ViewTraits) traits = view_traits(views, wish->name, &entry->digest, error);
    if (traits != NULL && view_traits_fit(traits, format)) {
        const Choice choice = {.entry = entry, .architecture = g_strdup(traits->architecture)};
        g_array_append_val(choices, choice);
    }
    return traits != NULL;
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

static void refuse_choice(const GArray *choices, const ViewWish *wish, GError **error)
{
    g_autoptr(GString) known = g_string_new(NULL);
    for (guint i = 0; i < choices->len; i++) {
        g_string_append_printf(known, "%s%s", i == 0 ? "" : ", ", g_array_index(choices, Choice, i).architecture);
    }
    if (choices->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: no image of this index is for %s", wish->name,
                    wish->format == NULL ? "any format" : wish->format);
    } else if (wish->architecture == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: images for %s are there: say which, by ?arch=", wish->name, known->str);
    } else {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: no image of this index is for %s (it has %s)",
                    wish->name, wish->architecture, known->str);
    }
}

/* Those that the index says are for the architecture, or of which it says nothing, come first: where one of them is
 * meant, no other is looked at. NULL: an error. */
static const Entry *choose_entry(Views *views, const ViewWish *wish, const IngotFormat *format, const GArray *entries,
                                 GError **error)
{
    const char *wanted = wish->architecture == NULL ? "amd64" : view_architecture(wish->architecture);
    g_autoptr(GArray) choices = g_array_new(FALSE, FALSE, sizeof(Choice));
    g_array_set_clear_func(choices, choice_clear);
    for (guint pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < entries->len; i++) {
            const Entry *entry = entry_at(entries, i);
            gboolean may_be = entry->told == NULL || strcmp(entry->told, wanted) == 0;
            const Choice *choice = NULL;
            if (may_be != (pass == 0)) {
                continue;
            }
            if (!choices_add(views, wish, format, entry, choices, error)) {
                return NULL;
            }
            if ((choice = find_choice(choices, wanted)) != NULL) {
                return choice->entry;
            }
        }
    }
    if (wish->architecture == NULL && choices->len == 1) {
        return g_array_index(choices, Choice, 0).entry;
    }
    refuse_choice(choices, wish, error);
    return NULL;
}

gboolean view_choose(Views *views, const ViewWish *wish, IngotDigest *image, GError **error)
{
    g_autoptr(json_t) index = read_index(views_storage(views), wish->name, wish->manifest);
    *image = *wish->manifest;
    if (index == NULL) {
        return TRUE;
    }
    if (!views_may_be_seen(views, wish->name, wish->manifest, error)) {
        return FALSE;
    }
    const IngotFormat *format = wish->format == NULL ? NULL : ingot_format_find(wish->format, error);
    if (wish->format != NULL && format == NULL) {
        return FALSE;
    }
    g_autoptr(GArray) entries = entries_of(views_storage(views), index);
    const Entry *entry = choose_entry(views, wish, format, entries, error);
    if (entry == NULL || !views_may_be_seen(views, wish->name, &entry->digest, error)) {
        return FALSE;
    }
    *image = entry->digest;
    return TRUE;
}

#include "store/meant.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "image/architecture.h"
#include "store/layout.h"

#define BARE_NAME "sha256" /* sha256:HEX alone has the form of this name with a tag */
#define BARE_LEAST 12u     /* digits */
#define BARE_MOST 64u

/* The digest that an entry without a tag stands for. Free it. */
static char *pin_of(const IngotStoreEntry *entry)
{
    return entry->index != NULL ? g_strdup(entry->index) : ingot_digest_to_text(&entry->manifest.digest);
}

/* NAME:TAG, or NAME@DIGEST. */
static char *entry_text(const IngotStoreEntry *entry)
{
    g_autofree char *pin = entry->tag == NULL ? pin_of(entry) : NULL;
    g_autoptr(IngotReference) reference = ingot_reference_new(NULL, entry->name, entry->tag, pin);
    return ingot_reference_to_text(reference);
}

/* --- what is not there --- */

/* No image of the store has the reference's name. */
static gboolean unknown_name(const IngotReference *reference, const char *name, GPtrArray *list, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < list->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(list, i);
        g_ptr_array_add(names, ingot_name_to_text(entry->name, entry->tag));
    }
    g_ptr_array_add(names, NULL);
    g_autofree char *wanted = ingot_name_to_text(name, reference->tag);
    g_autofree char *hint = ingot_text_suggestion(wanted, (const char *const *)names->pdata);
    g_autofree char *text = ingot_reference_to_text(reference);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no image %s in the store%s; `ingot images` lists them",
                text, hint);
    return FALSE;
}

static GStrv tags_of(GPtrArray *list, const char *name)
{
    g_autoptr(GStrvBuilder) tags = g_strv_builder_new();
    for (guint i = 0; i < list->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(list, i);
        if (strcmp(entry->name, name) == 0 && entry->tag != NULL) {
            g_strv_builder_add(tags, entry->tag);
        }
    }
    return g_strv_builder_end(tags);
}

static gboolean has_name(GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        if (strcmp(((IngotStoreEntry *)g_ptr_array_index(list, i))->name, name) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean not_found(const IngotReference *reference, const char *name, GPtrArray *list, GError **error)
{
    if (!has_name(list, name)) {
        return unknown_name(reference, name, list, error);
    }
    if (reference->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "no image %s of %s in the store", reference->digest,
                    name);
        return FALSE;
    }
    g_auto(GStrv) tags = tags_of(list, name);
    return ingot_tag_missing(name, " in the store", reference->tag, tags, error);
}

/* --- by a digest --- */

/* The names of an image, in the order of the lists; none of them is owned. */
typedef struct {
    char *digest;     /* as much of it as is known */
    gboolean bare;    /* of any name */
    GPtrArray *named; /* owns all names of the store */
    GPtrArray *former;
    GPtrArray *found;
} Names;

static void names_clear(Names *names)
{
    g_free(names->digest);
    g_clear_pointer(&names->found, g_ptr_array_unref);
    g_clear_pointer(&names->named, g_ptr_array_unref);
    g_clear_pointer(&names->former, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Names, names_clear)

static gboolean is_bare(const IngotReference *reference, GPtrArray *list)
{
    const char *digits = reference->tag;
    return reference->host == NULL && reference->digest == NULL && strcmp(reference->name, BARE_NAME) == 0 &&
           digits != NULL && strlen(digits) >= BARE_LEAST && strlen(digits) <= BARE_MOST &&
           strspn(digits, "0123456789abcdef") == strlen(digits) && !has_name(list, BARE_NAME);
}

static void add_found(Names *names, GPtrArray *list, const char *name)
{
    for (guint i = 0; i < list->len; i++) {
        IngotStoreEntry *entry = g_ptr_array_index(list, i);
        g_autofree char *own = ingot_digest_to_text(&entry->manifest.digest), *pin = pin_of(entry);
        if ((names->bare || strcmp(entry->name, name) == 0) &&
            (g_str_has_prefix(own, names->digest) || g_str_has_prefix(pin, names->digest))) {
            g_ptr_array_add(names->found, entry);
        }
    }
}

static gboolean is_one_image(const GPtrArray *found)
{
    const IngotStoreEntry *first = g_ptr_array_index(found, 0);
    for (guint i = 1; i < found->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(found, i);
        if (!ingot_digest_equal(&entry->manifest.digest, &first->manifest.digest)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* FALSE where there is none. One that lost its name can still be had by its digest. */
static gboolean find_names(Names *names, IngotStore *store, const IngotReference *reference, GError **error)
{
    g_autofree char *name = ingot_reference_local_name(reference);
    names->former = ingot_store_list_former(store, error);
    if (names->former == NULL) {
        return FALSE;
    }
    names->found = g_ptr_array_new();
    add_found(names, names->named, name);
    add_found(names, names->former, name);
    if (names->found->len == 0) {
        return not_found(reference, name, names->named, error);
    }
    if (!is_one_image(names->found)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: several images of the store begin so; `ingot images` lists them", names->digest);
        return FALSE;
    }
    return TRUE;
}

/* Reads the store's names. A reference without a digest leaves names->digest NULL. */
static gboolean begin_names(Names *names, IngotStore *store, const IngotReference *reference, GError **error)
{
    names->named = ingot_store_list(store, error);
    if (names->named == NULL) {
        return FALSE;
    }
    names->bare = is_bare(reference, names->named);
    names->digest = names->bare ? ingot_reference_to_text(reference) : g_strdup(reference->digest);
    return TRUE;
}

/* Under the tag that is asked for, or under none, or under whichever it has. */
static const IngotStoreEntry *best_name(const GPtrArray *found, const char *tag)
{
    const IngotStoreEntry *best = g_ptr_array_index(found, 0);
    for (guint i = 0; i < found->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(found, i);
        if (tag != NULL && g_strcmp0(entry->tag, tag) == 0) {
            return entry;
        }
        best = entry->tag == NULL && best->tag != NULL ? entry : best;
    }
    return best;
}

/* --- by a name --- */

static GPtrArray *entries_of(GPtrArray *list, const char *name, const char *tag)
{
    GPtrArray *found = g_ptr_array_new();
    for (guint i = 0; tag != NULL && i < list->len; i++) {
        IngotStoreEntry *entry = g_ptr_array_index(list, i);
        if (strcmp(entry->name, name) == 0 && g_strcmp0(entry->tag, tag) == 0) {
            g_ptr_array_add(found, entry);
        }
    }
    return found;
}

/* The only one for the architecture (NULL: of all that there are); NULL: there is none, or there are several. */
static const IngotStoreEntry *find_only(const GPtrArray *found, const char *architecture)
{
    if (is_one_image(found)) {
        return g_ptr_array_index(found, 0);
    }
    const IngotStoreEntry *only = NULL;
    for (guint i = 0; i < found->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(found, i);
        const char *word = architecture_word(entry->architecture);
        if (architecture == NULL || g_strcmp0(word, architecture) != 0) {
            continue;
        }
        if (only != NULL) {
            return NULL;
        }
        only = entry;
    }
    return only;
}

static void refuse_several(const IngotReference *reference, const GPtrArray *found, GError **error)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; i < found->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(found, i);
        g_autofree char *own = ingot_digest_to_text(&entry->manifest.digest),
                        *line = ingot_text_line(entry->architecture == NULL ? "?" : entry->architecture);
        g_string_append_printf(list, "%s%s (%s)", i == 0 ? "" : ", ", own, line);
    }
    g_autofree char *text = ingot_reference_to_text(reference);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: the store has several images of that name: %s; NAME:TAG@DIGEST says which", text, list->str);
}

/* architecture: of which a name's image is taken where it has several; NULL: none is then. */
static IngotStoreEntry *find_tag(const IngotReference *reference, const char *architecture, GPtrArray *list,
                                 GError **error)
{
    g_autofree char *name = ingot_reference_local_name(reference);
    g_auto(GStrv) tags = tags_of(list, name);
    const char *tag = reference->tag;
    if (tag == NULL && has_name(list, name) && (tag = ingot_tag_choose(name, " in the store", tags, error)) == NULL) {
        return NULL;
    }
    g_autoptr(GPtrArray) found = entries_of(list, name, tag);
    if (found->len == 0) {
        not_found(reference, name, list, error);
        return NULL;
    }
    const IngotStoreEntry *only = find_only(found, architecture);
    if (only == NULL) {
        refuse_several(reference, found, error);
        return NULL;
    }
    return layout_copy_entry(only);
}

static IngotStoreEntry *find_image(IngotStore *store, const IngotReference *reference, const char *architecture,
                                   GError **error)
{
    g_auto(Names) names = {0};
    if (!begin_names(&names, store, reference, error)) {
        return NULL;
    }
    if (names.digest == NULL) {
        return find_tag(reference, architecture, names.named, error);
    }
    return find_names(&names, store, reference, error)
               ? layout_copy_entry(best_name(names.found, names.bare ? NULL : reference->tag))
               : NULL;
}

IngotStoreEntry *ingot_store_find_for(IngotStore *store, const IngotReference *reference, const char *architecture,
                                      GError **error)
{
    const char *wanted = architecture == NULL ? architecture_of_host() : architecture_word(architecture);
    return find_image(store, reference, wanted, error);
}

IngotStoreEntry *meant_image(IngotStore *store, const IngotReference *reference, GError **error)
{
    return find_image(store, reference, NULL, error);
}

IngotImage *meant_image_open(IngotStore *store, const IngotReference *reference, GError **error)
{
    g_autoptr(IngotStoreEntry) entry = meant_image(store, reference, error);
    g_autofree char *digest = entry == NULL ? NULL : ingot_digest_to_text(&entry->manifest.digest);
    g_autoptr(IngotReference) exact = entry == NULL ? NULL : ingot_reference_new(NULL, entry->name, entry->tag, digest);
    return exact == NULL ? NULL : ingot_store_image(store, exact, error);
}

IngotStoreEntry *ingot_store_find(IngotStore *store, const IngotReference *reference, GError **error)
{
    return ingot_store_find_for(store, reference, NULL, error);
}

/* --- to act on names --- */

/* The entry that the reference itself says; NULL: the image has other names alone. */
static const IngotStoreEntry *said_name(const Names *names, const char *tag)
{
    const IngotStoreEntry *pinned = NULL;
    for (guint i = 0; i < names->found->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(names->found, i);
        g_autofree char *pin = pin_of(entry);
        if (tag != NULL && g_strcmp0(entry->tag, tag) == 0) {
            return entry;
        }
        if (entry->former || (entry->tag == NULL && strcmp(pin, names->digest) == 0)) {
            pinned = entry;
        }
    }
    return pinned;
}

static IngotStoreEntry *refuse_names(const Names *names, const IngotReference *reference, GError **error)
{
    g_autoptr(GString) list = g_string_new(NULL);
    for (guint i = 0; i < names->found->len; i++) {
        g_autofree char *text = entry_text(g_ptr_array_index(names->found, i));
        g_string_append_printf(list, "%s%s", i == 0 ? "" : ", ", text);
    }
    g_autofree char *text = ingot_reference_to_text(reference);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the store has this image as %s: say which name", text,
                list->str);
    return NULL;
}

IngotStoreEntry *meant_name(IngotStore *store, const IngotReference *reference, GError **error)
{
    g_auto(Names) names = {0};
    if (!begin_names(&names, store, reference, error)) {
        return NULL;
    }
    if (names.digest == NULL) {
        return find_tag(reference, NULL, names.named, error);
    }
    if (!find_names(&names, store, reference, error)) {
        return NULL;
    }
    const IngotStoreEntry *said = !names.bare             ? said_name(&names, reference->tag)
                                  : names.found->len == 1 ? g_ptr_array_index(names.found, 0)
                                                          : NULL;
    return said == NULL ? refuse_names(&names, reference, error) : layout_copy_entry(said);
}

gboolean meant_name_pulled(IngotStore *store, const char *name, const char *digest, const IngotDescriptor *manifest,
                           GError **error)
{
    char own[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&manifest->digest, own);
    return layout_name(store, name, NULL, strcmp(digest, own) == 0 ? NULL : digest, manifest, error);
}

gboolean meant_move_tag(IngotStore *store, const char *name, const char *tag, const IngotDigest *before,
                        const IngotDescriptor *manifest, GError **error)
{
    gboolean moved;
    return layout_move_tag(store, name, tag, before, manifest, &moved, error) &&
           (moved || layout_name(store, name, NULL, NULL, manifest, error));
}

/* --- what is still there --- */

gboolean meant_is_among(const GPtrArray *entries, const IngotStoreEntry *wanted)
{
    for (guint i = 0; i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        if (strcmp(entry->name, wanted->name) == 0 && g_strcmp0(entry->tag, wanted->tag) == 0 &&
            g_strcmp0(entry->index, wanted->index) == 0 &&
            ingot_digest_equal(&entry->manifest.digest, &wanted->manifest.digest)) {
            return TRUE;
        }
    }
    return FALSE;
}

gboolean meant_is_there(IngotStore *store, const IngotStoreEntry *entry)
{
    g_autoptr(GPtrArray) named = ingot_store_list(store, NULL);
    g_autoptr(GPtrArray) former = ingot_store_list_former(store, NULL);
    return (named != NULL && meant_is_among(named, entry)) || (former != NULL && meant_is_among(former, entry));
}

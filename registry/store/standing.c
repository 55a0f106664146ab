#include "store/standing.h"

#include <string.h>
#include <unistd.h>

#define NOTE_MAX (512u << 10) /* bytes */
#define NOTE_VALUES 1024u

/* A word as it is noted, without what does not belong into one; NULL: it is none. */
static json_t *word_of(const json_t *note, const char *key)
{
    const json_t *word = json_object_get(note, key);
    g_autofree char *text = json_is_object(word) ? lifecycle_write(word) : NULL;
    return text == NULL ? NULL : lifecycle_read(text);
}

static void words_add(json_t *words, const char *registry, const json_t *one)
{
    g_autoptr(json_t) said = word_of(one, "said"), base = word_of(one, "base");
    if (said != NULL || base != NULL) {
        json_object_set_new(words, registry, json_pack("{s:O*, s:O*}", "said", said, "base", base));
    }
}

/* All words, by HOST/NAME; an empty object: none. */
static json_t *words_load(const char *path)
{
    g_autoptr(GBytes) bytes = ingot_file_read_regular(path, NOTE_MAX, NULL);
    g_autoptr(json_t) note = ingot_json_parse_bytes(bytes, path, NOTE_VALUES, NULL);
    json_t *words = json_object();
    const char *registry, *only = json_string_value(json_object_get(note, "registry"));
    json_t *one;
    if (only != NULL) {
        words_add(words, only, note);
        return words;
    }
    json_object_foreach(note, registry, one)
    {
        words_add(words, registry, one);
    }
    return words;
}

static Lifecycle word_state(const json_t *words, const char *registry, const char *key)
{
    return lifecycle_of(json_object_get(json_object_get(words, registry), key));
}

/* Whose word of that kind is the strictest; NULL: there is none. */
static const char *words_strictest(json_t *words, const char *key)
{
    const char *registry, *strictest = NULL;
    json_t *one;
    json_object_foreach(words, registry, one)
    {
        if (json_object_get(one, key) != NULL &&
            (strictest == NULL || word_state(words, registry, key) > word_state(words, strictest, key))) {
            strictest = registry;
        }
    }
    return strictest;
}

/* Of the image first, of its base then. */
static guint word_weight(const json_t *words, const char *registry)
{
    return word_state(words, registry, "said") * (LIFECYCLE_REVOKED + 1u) + word_state(words, registry, "base");
}

static void words_drop_mildest(json_t *words)
{
    const char *registry, *mildest = NULL;
    json_t *one;
    json_object_foreach(words, registry, one)
    {
        if (mildest == NULL || word_weight(words, registry) < word_weight(words, mildest)) {
            mildest = registry;
        }
    }
    json_object_del(words, mildest);
}

json_t *standing_load(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = layout_note_path(store, STANDING_FOLDER, image);
    g_autoptr(json_t) words = words_load(path);
    const char *of_image = words_strictest(words, "said"), *of_base = words_strictest(words, "base");
    const char *registry = of_image != NULL ? of_image : of_base;
    return registry == NULL
               ? NULL
               : json_pack("{s:s, s:O*, s:O*}", "registry", registry, "said",
                           json_object_get(json_object_get(words, registry), "said"), "base",
                           of_base == NULL ? NULL : json_object_get(json_object_get(words, of_base), "base"));
}

void standing_keep(const IngotStore *store, const IngotDigest *image, const char *registry, const json_t *said,
                   const json_t *base)
{
    g_autofree char *path = layout_note_path(store, STANDING_FOLDER, image);
    g_autofree char *folder = layout_path(store, STANDING_FOLDER);
    if (said == NULL && base == NULL && !ingot_file_is_regular(path)) {
        return;
    }
    g_autoptr(IngotLock) lock = layout_lock(store, NULL); /* another process may add its own word */
    g_autoptr(json_t) words = lock == NULL ? NULL : words_load(path);
    if (words == NULL) {
        return;
    }
    json_object_del(words, registry);
    if (said != NULL || base != NULL) {
        json_object_set_new(words, registry, json_pack("{s:O*, s:O*}", "said", said, "base", base));
    }
    if (json_object_size(words) > STANDING_MOST) {
        words_drop_mildest(words);
    }
    if (json_object_size(words) == 0) {
        unlink(path);
    } else if (ingot_file_make_folder(folder, NULL)) {
        ingot_json_save(words, path, NOTE_MAX, 0644, NULL);
    }
}

void standing_drop(const IngotStore *store, const IngotDigest *image)
{
    g_autofree char *path = layout_note_path(store, STANDING_FOLDER, image);
    unlink(path);
}

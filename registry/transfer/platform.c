#include "transfer/platform.h"

#include <ingot/error.h>
#include <ingot/manifest.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "image/architecture.h"

#define OS "linux"
#define SHOWN 8        /* of an index's images in an error */
#define SHOWN_BYTES 40 /* of each of their words */

static const char *get(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Registries of old leave mediaType out. */
static gboolean is_index(const json_t *root)
{
    return json_is_array(json_object_get(root, "manifests")) && json_object_get(root, "layers") == NULL &&
           json_object_get(root, "config") == NULL;
}

static gboolean is_disk(const json_t *entry)
{
    return g_strcmp0(get(entry, "artifactType"), INGOT_TYPE_IMAGE) == 0;
}

/* How well an entry fits; 0: not at all. */
static guint fitness(const json_t *entry, const char *architecture)
{
    const json_t *platform = json_object_get(entry, "platform");
    gboolean fits =
        g_strcmp0(get(platform, "os"), OS) == 0 && g_strcmp0(get(platform, "architecture"), architecture) == 0;
    return fits && is_disk(entry) ? 3 : fits && get(entry, "artifactType") == NULL ? 2 : !platform && is_disk(entry);
}

/* The one that fits best, the first of equals; NULL: none, or several that say nothing of their platforms. */
static const json_t *find_best(const json_t *manifests, const char *architecture)
{
    const json_t *best = NULL;
    guint most = 0, unknown = 0;
    for (size_t i = 0; i < json_array_size(manifests); i++) {
        const json_t *entry = json_array_get(manifests, i);
        guint fit = fitness(entry, architecture);
        unknown += fit == 1;
        if (fit > most) {
            most = fit;
            best = entry;
        }
    }
    return most == 1 && unknown > 1 ? NULL : best;
}

static void add_word(GString *text, const char *word)
{
    g_autofree char *head = ingot_text_head(word == NULL ? "?" : word, SHOWN_BYTES), *line = ingot_text_line(head);
    g_string_append(text, line);
}

/* "linux/arm64 (sha256:…), …" */
static char *list_platforms(const json_t *manifests)
{
    GString *text = g_string_new(NULL);
    size_t count = json_array_size(manifests);
    for (size_t i = 0; i < MIN(count, SHOWN); i++) {
        const json_t *entry = json_array_get(manifests, i), *platform = json_object_get(entry, "platform");
        const char *digest = get(entry, "digest");
        IngotDigest parsed;
        g_string_append(text, i == 0 ? "" : ", ");
        if (platform == NULL) {
            g_string_append(text, "one without a platform");
        } else {
            add_word(text, get(platform, "os"));
            g_string_append_c(text, '/');
            add_word(text, get(platform, "architecture"));
        }
        if (digest != NULL && ingot_digest_parse(digest, &parsed, NULL)) {
            g_string_append_printf(text, " (%s)", digest);
        }
    }
    if (count > SHOWN) {
        g_string_append_printf(text, " and %u more", (guint)(count - SHOWN));
    }
    return g_string_free(text, FALSE);
}

PlatformResult platform_choose(const void *data, gsize size, const char *architecture, const char *what,
                               IngotDigest *chosen, GError **error)
{
    gsize room = INGOT_MANIFEST_VALUES;
    g_autoptr(json_t) root = ingot_json_parse_within(data, size, what, &room, NULL);
    const json_t *manifests = json_object_get(root, "manifests");
    if (root == NULL || !is_index(root)) {
        return PLATFORM_SINGLE;
    }
    const json_t *best = find_best(manifests, architecture);
    const char *digest = get(best, "digest");
    if (best == NULL) {
        g_autofree char *list = list_platforms(manifests);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: an index without an image for " OS "/%s%s%s", what,
                    architecture,
                    *list == '\0' ? ": it is empty" : "; --arch or NAME@DIGEST names one of what it has: ", list);
        return PLATFORM_NONE;
    }
    if (digest == NULL || !ingot_digest_parse(digest, chosen, NULL)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: an entry of the index has no digest that is known",
                    what);
        return PLATFORM_NONE;
    }
    return PLATFORM_CHOSEN;
}

/* Of an image; what is not known is shown as it stands there. Free it. */
static char *architecture_of(const json_t *config)
{
    const char *said = get(config, "architecture"), *word = architecture_word(said);
    g_autofree char *head = ingot_text_head(said == NULL ? "?" : said, SHOWN_BYTES);
    return word == NULL ? ingot_text_line(head) : g_strdup(word);
}

gboolean platform_check(const json_t *config, const IngotRemoteOptions *options, const char *what, GError **error)
{
    const char *asked = options == NULL ? NULL : options->architecture;
    g_autofree char *own = architecture_of(config);
    if (asked == NULL) {
        return TRUE;
    }
    if (!architecture_check(asked, error)) {
        return FALSE;
    }
    if (strcmp(architecture_word(asked), own) == 0) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: an image for %s, not for %s", what, own,
                architecture_word(asked));
    return FALSE;
}

void platform_tell(const json_t *config, const IngotRemoteOptions *options, const char *what, IngotProgress *progress)
{
    g_autofree char *own = architecture_of(config);
    if ((options == NULL || options->architecture == NULL) && strcmp(own, architecture_of_host()) != 0) {
        ingot_progress_warning(progress,
                               "%s is an image for %s in the store; --pull=always asks for one for this machine, and "
                               "--arch says which one is meant",
                               what, own);
    }
}

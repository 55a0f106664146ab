/* The tags of one name: which of them a reference without a tag stands for, and what is said of one that is not there.
 */
#include <ingot/error.h>
#include <ingot/reference.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SHOWN_TAGS 12 /* of a name, in a message */

gboolean ingot_tag_is_referrers(const char *tag)
{
    static const char *const endings[] = {"", ".sig", ".att", ".sbom", NULL};
    gsize size = strlen("sha256-") + 64;
    return g_str_has_prefix(tag, "sha256-") && strlen(tag) >= size && g_strv_contains(endings, tag + size);
}

static int by_tag(const void *a, const void *b)
{
    return ingot_tag_compare(*(char *const *)a, *(char *const *)b);
}

/* Those that a person may ask for, in order; the texts stay the list's. */
static GPtrArray *known_tags(char **tags)
{
    GPtrArray *known = g_ptr_array_new();
    for (guint i = 0; tags[i] != NULL; i++) {
        if (ingot_tag_check(tags[i], NULL) && !ingot_tag_is_referrers(tags[i])) {
            g_ptr_array_add(known, tags[i]);
        }
    }
    if (known->len > 0) {
        qsort(known->pdata, known->len, sizeof *known->pdata, by_tag);
    }
    return known;
}

/* "it has 1.0.0, dev, prod". Of many the last ones: the newest versions, and the channels. */
static char *list_text(const GPtrArray *known)
{
    if (known->len == 0) {
        return g_strdup("it has no tags");
    }
    guint first = known->len > SHOWN_TAGS ? known->len - SHOWN_TAGS : 0;
    GString *text = g_string_new("it has ");
    for (guint i = first; i < known->len; i++) {
        g_string_append_printf(text, "%s%s", i == first ? "" : ", ", (const char *)g_ptr_array_index(known, i));
    }
    if (first > 0) {
        g_string_append_printf(text, " and %u more", first);
    }
    return g_string_free(text, FALSE);
}

const char *ingot_tag_choose(const char *name, const char *where, char **tags, GError **error)
{
    g_autoptr(GPtrArray) known = known_tags(tags);
    const char *highest = NULL, *latest = NULL;
    for (guint i = 0; i < known->len; i++) {
        const char *tag = g_ptr_array_index(known, i);
        highest = ingot_tag_is_version(tag) ? tag : highest; /* versions come first, the highest last */
        latest = strcmp(tag, "latest") == 0 ? tag : latest;
    }
    highest = highest == NULL ? latest : highest;
    if (highest == NULL) {
        g_autofree char *list = list_text(known);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s has no version%s: say which tag (%s)", name, where,
                    list);
    }
    return highest;
}

gboolean ingot_tag_missing(const char *name, const char *where, const char *tag, char **tags, GError **error)
{
    g_autoptr(GPtrArray) known = known_tags(tags);
    g_autofree char *list = list_text(known);
    gboolean all_shown = known->len <= SHOWN_TAGS;
    g_ptr_array_add(known, NULL);
    g_autofree char *hint = all_shown ? g_strdup("") : ingot_text_suggestion(tag, (const char *const *)known->pdata);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s has no tag '%s'%s%s (%s)", name, tag, where, hint, list);
    return FALSE;
}

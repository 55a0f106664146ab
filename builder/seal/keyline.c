#include "seal/keyline.h"

#include <string.h>

/* Options may stand before the key, and a comment behind it. */
static gboolean keyline_is_builds(const char *line, const char *key, const char *comment)
{
    g_autofree char *clean = g_strstrip(g_strdup(line));
    g_auto(GStrv) words = g_strsplit_set(clean, " \t", -1);
    for (guint i = 0; *clean != '#' && words[i] != NULL; i++) {
        gboolean commented = comment != NULL && i >= 2 && words[i + 1] == NULL && strcmp(words[i], comment) == 0;
        if (strcmp(words[i], key) == 0 || commented) {
            return TRUE;
        }
    }
    return FALSE;
}

/* A boot adds its line behind an empty one. */
static void keyline_drop_empty(GString *rest)
{
    if (strcmp(rest->str, "\n") == 0 || g_str_has_suffix(rest->str, "\n\n")) {
        g_string_truncate(rest, rest->len - 1);
    }
}

char *keyline_remove(const char *text, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    if (words[0] == NULL || words[1] == NULL) {
        return NULL;
    }
    g_autoptr(GString) rest = g_string_new(NULL);
    gboolean removed = FALSE;
    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        gsize length = end == NULL ? strlen(text) : (gsize)(end - text) + 1;
        g_autofree char *one = g_strndup(text, length);
        if (keyline_is_builds(one, words[1], words[2])) {
            removed = TRUE;
            keyline_drop_empty(rest);
        } else {
            g_string_append(rest, one);
        }
        text += length;
    }
    return removed ? g_string_free(g_steal_pointer(&rest), FALSE) : NULL;
}

#include "seal/keyline.h"

#include <string.h>

/* Options may stand before the key and a comment behind it: the key is a word of its own. */
static gboolean keyline_holds(const char *line, const char *key)
{
    g_auto(GStrv) words = g_strsplit_set(line, " \t\r\n", -1);
    return line[strspn(line, " \t")] != '#' && g_strv_contains((const char *const *)words, key);
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
        if (keyline_holds(one, words[1])) {
            removed = TRUE;
        } else {
            g_string_append(rest, one);
        }
        text += length;
    }
    return removed ? g_string_free(g_steal_pointer(&rest), FALSE) : NULL;
}

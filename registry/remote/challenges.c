#include "remote/challenges.h"

#include <string.h>

#define SPACE " \t"

void challenge_free(Challenge *challenge)
{
    g_free(challenge->scheme);
    g_hash_table_unref(challenge->values);
    g_free(challenge);
}

/* A token (RFC 9110, section 5.6.2) from *text on; NULL: there is none. */
static char *take_token(const char **text)
{
    gsize length = 0;
    while (g_ascii_isalnum((*text)[length]) ||
           ((*text)[length] != '\0' && strchr("!#$%&'*+-.^_`|~", (*text)[length]) != NULL)) {
        length++;
    }
    char *token = length == 0 ? NULL : g_ascii_strdown(*text, (gssize)length);
    *text += length;
    return token;
}

/* A quoted string or whatever stands to the next comma. */
static char *take_value(const char **text)
{
    if (**text != '"') {
        gsize length = strcspn(*text, ", \t");
        char *plain = g_strndup(*text, length);
        *text += length;
        return plain;
    }
    GString *value = g_string_new(NULL);
    for (++*text; **text != '\0' && **text != '"'; ++*text) {
        *text += **text == '\\' && (*text)[1] != '\0';
        g_string_append_c(value, **text);
    }
    *text += **text == '"';
    return g_string_free(value, FALSE);
}

static void parse_line(const char *text, GPtrArray *list)
{
    Challenge *current = NULL;
    while (*(text += strspn(text, SPACE ",")) != '\0') {
        g_autofree char *token = take_token(&text);
        text += strspn(text, SPACE);
        if (token == NULL) {
            return; /* no challenge: what follows is not understood */
        }
        if (*text == '=' && current != NULL) {
            text += 1 + strspn(text + 1, SPACE);
            g_hash_table_replace(current->values, g_steal_pointer(&token), take_value(&text));
        } else if (*text == '=') {
            return;
        } else {
            current = g_new0(Challenge, 1);
            current->scheme = g_steal_pointer(&token);
            current->values = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
            g_ptr_array_add(list, current);
        }
    }
}

GPtrArray *challenges_parse(const char *values)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)challenge_free);
    g_auto(GStrv) lines = g_strsplit(values == NULL ? "" : values, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        parse_line(lines[i], list);
    }
    return list;
}

const Challenge *challenges_find(const GPtrArray *challenges, const char *scheme)
{
    for (guint i = 0; i < challenges->len; i++) {
        const Challenge *one = g_ptr_array_index(challenges, i);
        if (strcmp(one->scheme, scheme) == 0) {
            return one;
        }
    }
    return NULL;
}

const char *challenge_get(const Challenge *challenge, const char *name)
{
    return g_hash_table_lookup(challenge->values, name);
}

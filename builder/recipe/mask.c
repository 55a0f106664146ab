#include "recipe/mask.h"

#include <string.h>

#include "recipe/recipe.h"

#define MASK "***"
/* A shorter line of a longer secret ("}" say) tells nothing, and masking it would ruin every log. */
#define SHORTEST_LINE 4

static int longest_first(gconstpointer a, gconstpointer b)
{
    gsize one = strlen(*(char *const *)a), other = strlen(*(char *const *)b);
    return (other > one) - (other < one);
}

static void add_once(GPtrArray *secrets, const char *value)
{
    if (!g_ptr_array_find_with_equal_func(secrets, value, g_str_equal, NULL)) {
        g_ptr_array_add(secrets, g_strdup(value));
    }
}

void mask_add(GPtrArray *secrets, const char *value)
{
    if (*value == '\0') {
        return;
    }
    add_once(secrets, value);
    g_auto(GStrv) lines = g_strsplit(value, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (strlen(g_strstrip(lines[i])) >= SHORTEST_LINE) {
            add_once(secrets, lines[i]);
        }
    }
    g_ptr_array_sort(secrets, longest_first);
}

static const char *secret_at(const GPtrArray *secrets, const char *text)
{
    for (guint i = 0; secrets != NULL && i < secrets->len; i++) {
        if (g_str_has_prefix(text, g_ptr_array_index(secrets, i))) {
            return g_ptr_array_index(secrets, i);
        }
    }
    return NULL;
}

char *mask_text(const GPtrArray *secrets, const char *text)
{
    GString *masked = g_string_new(NULL);
    while (*text != '\0') {
        const char *secret = secret_at(secrets, text);
        if (secret != NULL) {
            g_string_append(masked, MASK);
            text += strlen(secret);
        } else {
            g_string_append_c(masked, *text++);
        }
    }
    return g_string_free(masked, FALSE);
}

char *recipe_mask(const Recipe *recipe, const char *text)
{
    return mask_text(recipe->secrets, text);
}

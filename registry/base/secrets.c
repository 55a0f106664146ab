#include "base/secrets.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

#define MASK "***"
/* A shorter line of a longer secret ("}" say) reveals nothing, and masking it would ruin every log; so would masking a
 * shorter value everywhere. */
#define SHORTEST 4

static GRWLock registered_lock;
static GPtrArray *registered; /* NULL: none yet */

GPtrArray *ingot_secrets_new(void)
{
    return g_ptr_array_new_with_free_func(g_free);
}

static void secrets_add_spelling(GPtrArray *secrets, const char *spelling)
{
    gsize length = strlen(spelling);
    guint at = 0;

    for (; at < secrets->len; at++) {
        const char *other = g_ptr_array_index(secrets, at);
        if (strcmp(other, spelling) == 0)
            return;
        if (strlen(other) < length)
            break;
    }
    g_ptr_array_insert(secrets, (gint)at, g_strdup(spelling));
}

static char *spell_replaced(const char *value, const char *what, const char *by)
{
    g_autoptr(GString) text = g_string_new(value);
    g_string_replace(text, what, by, 0);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* As between the quotes of JSON, and of a double-quoted text of YAML. */
static char *spell_json(const char *value, size_t flags)
{
    g_autoptr(json_t) string = json_string(value);
    g_autofree char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY | flags) : NULL;
    return quoted ? g_strndup(quoted + 1, strlen(quoted) - 2) : g_strdup(value);
}

/* "\u00E9" -> "\u00e9": both are about. */
static char *spell_lower(const char *json)
{
    char *text = g_strdup(json);
    for (char *at = text; *at; at++) {
        if (*at != '\\')
            continue;
        at++;
        for (guint i = 1; *at == 'u' && i <= 4 && at[i]; i++)
            at[i] = g_ascii_tolower(at[i]);
    }
    return text;
}

static void secrets_add_spellings(GPtrArray *secrets, const char *value)
{
    g_autofree char *xml = g_markup_escape_text(value, -1);
    g_autofree char *json = spell_json(value, 0);
    g_autofree char *slashed = spell_json(value, JSON_ESCAPE_SLASH);
    g_autofree char *ascii = spell_json(value, JSON_ENSURE_ASCII);
    g_autofree char *lower = spell_lower(ascii);
    g_autofree char *single = spell_replaced(value, "'", "''");
    g_autofree char *shell = spell_replaced(value, "'", "'\\''");
    const char *const spellings[] = {value, xml, json, slashed, ascii, lower, single, shell};

    for (guint i = 0; i < G_N_ELEMENTS(spellings); i++)
        secrets_add_spelling(secrets, spellings[i]);
}

void ingot_secrets_add(GPtrArray *secrets, const char *value)
{
    if (!*value)
        return;
    secrets_add_spellings(secrets, value);
    g_auto(GStrv) lines = g_strsplit(value, "\n", -1);
    for (guint i = 0; lines[i]; i++)
        if (strlen(g_strstrip(lines[i])) >= SHORTEST)
            secrets_add_spellings(secrets, lines[i]);
}

static const char *secret_at(const GPtrArray *secrets, const char *text)
{
    for (guint i = 0; i < secrets->len; i++)
        if (g_str_has_prefix(text, g_ptr_array_index(secrets, i)))
            return g_ptr_array_index(secrets, i);
    return NULL;
}

char *ingot_secrets_mask(const GPtrArray *secrets, const char *text)
{
    if (!secrets || secrets->len == 0)
        return g_strdup(text);
    GString *masked = g_string_new(NULL);
    while (*text) {
        const char *secret = secret_at(secrets, text);
        if (secret) {
            g_string_append(masked, MASK);
            text += strlen(secret);
        } else {
            g_string_append_c(masked, *text++);
        }
    }
    return g_string_free(masked, FALSE);
}

void ingot_secrets_register(const char *value)
{
    if (strlen(value) < SHORTEST)
        return;
    g_rw_lock_writer_lock(&registered_lock);
    if (!registered)
        registered = ingot_secrets_new();
    ingot_secrets_add(registered, value);
    g_rw_lock_writer_unlock(&registered_lock);
}

char *ingot_secrets_mask_all(const char *text)
{
    g_rw_lock_reader_lock(&registered_lock);
    char *masked = ingot_secrets_mask(registered, text);
    g_rw_lock_reader_unlock(&registered_lock);
    return masked;
}

char *ingot_secrets_clean(const char *text)
{
    g_autofree char *masked = ingot_secrets_mask_all(text);
    g_autofree char *plain = ingot_text_clean(masked, -1);
    return ingot_secrets_mask_all(plain);
}

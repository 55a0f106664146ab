#include "remote/longtokens.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/prompt.h"
#include "remote/http.h"

gboolean long_token_check(const char *text)
{
    return text != NULL && g_regex_match_simple("^[A-Za-z0-9._~+/=-]+$", text, G_REGEX_DOLLAR_ENDONLY | G_REGEX_RAW, 0);
}

/* A token may end in "=" (base64), but has none before another character. */
static const char *find_separator(const char *entry)
{
    const char *equal = strchr(entry, '=');
    return equal != NULL && equal[strspn(equal, "=")] != '\0' ? equal : NULL;
}

/* Without the port that the scheme has anyhow; free it. */
static char *plain_host(const char *host, const char *scheme)
{
    const char *port = strcmp(scheme, "https") == 0 ? ":443" : ":80";
    gsize length = strlen(host) - (g_str_has_suffix(host, port) ? strlen(port) : 0);
    return g_ascii_strdown(host, (gssize)length);
}

static gboolean is_same_host(const char *a, const char *b, const char *scheme)
{
    g_autofree char *first = plain_host(a, scheme), *second = plain_host(b, scheme);
    return strcmp(first, second) == 0;
}

static gboolean host_check(const char *host, const char *variable, GError **error)
{
    g_autoptr(IngotReference) where = ingot_reference_parse_location(host, NULL);
    if (where == NULL || where->name != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a registry is HOST[:PORT], and one of it is not",
                    variable);
    }
    return where != NULL && where->name == NULL;
}

/* Whether an entry is for that host; *token: what it says. */
static gboolean entry_is_for(const LongTokens *all, const char *entry, const char *host, const char *scheme,
                             const char **token)
{
    const char *separator = find_separator(entry);
    g_autofree char *named = separator != NULL   ? g_strndup(entry, (gsize)(separator - entry))
                             : all->host != NULL ? g_strdup(all->host)
                                                 : NULL;
    *token = separator == NULL ? entry : separator + 1;
    return named == NULL ? http_is_loopback(host) : is_same_host(named, host, scheme);
}

/* What is wrong with one is told without telling it. */
static gboolean entry_check(const char *entry, GError **error)
{
    const char *separator = find_separator(entry);
    g_autofree char *host = separator == NULL ? NULL : g_strndup(entry, (gsize)(separator - entry));
    if (host != NULL && !host_check(host, "$INGOT_TOKEN", error)) {
        return FALSE;
    }
    if (!long_token_check(separator == NULL ? entry : separator + 1)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "$INGOT_TOKEN is no token: it has characters that none has");
        return FALSE;
    }
    return TRUE;
}

static gboolean check_all(const LongTokens *all, char **entries, GError **error)
{
    guint alone = 0;
    for (guint i = 0; entries[i] != NULL; i++) {
        if (*entries[i] != '\0' && !entry_check(entries[i], error)) {
            return FALSE;
        }
        alone += *entries[i] != '\0' && find_separator(entries[i]) == NULL;
    }
    if (alone > 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "$INGOT_TOKEN holds several tokens: each needs its registry, as in HOST[:PORT]=TOKEN");
        return FALSE;
    }
    return all->host == NULL || host_check(all->host, "$INGOT_TOKEN_HOST", error);
}

static void secrets_free(char **entries)
{
    for (guint i = 0; entries[i] != NULL; i++) {
        ingot_secret_free(entries[i]);
    }
    g_free(entries);
}

gboolean long_tokens_find(const LongTokens *all, const char *host, const char *scheme, char **token, GError **error)
{
    char **entries = g_strsplit_set(all->tokens == NULL ? "" : all->tokens, " \t\r\n", -1);
    gboolean ok = check_all(all, entries, error);
    *token = NULL;
    for (guint i = 0; ok && *token == NULL && entries[i] != NULL; i++) {
        const char *value;
        if (*entries[i] != '\0' && entry_is_for(all, entries[i], host, scheme, &value)) {
            *token = g_strdup(value);
        }
    }
    secrets_free(entries);
    return ok;
}

gboolean long_tokens_is_homeless(const LongTokens *all)
{
    char **entries = g_strsplit_set(all->tokens == NULL || all->host != NULL ? "" : all->tokens, " \t\r\n", -1);
    gboolean found = FALSE;
    for (guint i = 0; entries[i] != NULL; i++) {
        found = found || (*entries[i] != '\0' && find_separator(entries[i]) == NULL);
    }
    secrets_free(entries);
    return found;
}

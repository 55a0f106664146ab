#include "recipe/values.h"

#include <ingot/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/secrets.h"
#include "base/text.h"

#define LONGEST_SECONDS 2592000 /* 30 days */

static const char *expectation(const Key *key)
{
    switch (key->kind) {
    case KIND_INTEGER:
        return "a number";
    case KIND_BOOLEAN:
        return "true or false";
    case KIND_SIZE:
        return "a size like 4G";
    case KIND_DURATION:
        return "a time like 90s or 5m";
    case KIND_MODE:
        return "an octal mode like \"0644\"";
    case KIND_SCALAR:
        return "text, a number, true or false";
    default:
        return "text";
    }
}

static gboolean type_fits(const Key *key, const YamlNode *node)
{
    /* What ${x} stands for is text until it is looked up. */
    gboolean reference = node->type == SCALAR_TEXT && strstr(node->text, "${") != NULL;
    switch (key->kind) {
    case KIND_INTEGER:
        return reference || node->type == SCALAR_INTEGER;
    case KIND_BOOLEAN:
        return reference || node->type == SCALAR_BOOLEAN;
    case KIND_SIZE:
    case KIND_DURATION:
    case KIND_MODE:
        return node->type == SCALAR_TEXT || node->type == SCALAR_INTEGER;
    case KIND_SCALAR:
        return node->type != SCALAR_NULL;
    default:
        return node->type == SCALAR_TEXT;
    }
}

void value_check_loosely(const Check *check, const YamlNode *node)
{
    /* Of ${x} in a shell's text alone nobody can say that it is not the shell's own. */
    const ExpandFlags mildest = EXPAND_SHELL | EXPAND_SECRETS;
    if (node->kind == YAML_SCALAR) {
        g_autofree char *text = variables_expand(check->variables, node, mildest, check->diagnostics);
        return;
    }
    guint first = node->kind == YAML_MAP ? 1 : 0;
    for (guint i = first; i < node->items->len; i += first + 1) {
        value_check_loosely(check, g_ptr_array_index(node->items, i));
    }
}

static void complain_of_type(const Check *check, const Key *key, const YamlNode *node)
{
    gboolean quotes = node->kind == YAML_SCALAR && node->type != SCALAR_NULL && node->type != SCALAR_TEXT;
    g_autofree char *quoted = node->kind == YAML_SCALAR ? diagnostics_quote(node->text) : g_strdup("");
    diagnostics_add(check->diagnostics, &node->place, "'%s': expected %s, not %s%s%s%s", key->name, expectation(key),
                    yaml_noun(node), *quoted != '\0' && node->type != SCALAR_NULL ? " " : "",
                    node->type != SCALAR_NULL ? quoted : "",
                    quotes && strcmp(expectation(key), "text") == 0 ? " (text that looks like one needs quotes)" : "");
}

static gboolean check_type(const Check *check, const Key *key, const YamlNode *node)
{
    if (node->kind == YAML_SCALAR && type_fits(key, node)) {
        return TRUE;
    }
    if (!node->cut) {
        complain_of_type(check, key, node);
    }
    value_check_loosely(check, node);
    return FALSE;
}

static void complain(const Check *check, const Key *key, const YamlNode *node, const char *text, const char *what)
{
    g_autofree char *quoted = diagnostics_quote(text);
    diagnostics_add(check->diagnostics, &node->place, "'%s': %s is not %s", key->name, quoted, what);
}

static json_t *integer_value(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    gint64 value = 0;
    if (g_ascii_string_to_signed(text, 10, key->least, key->most, &value, NULL)) {
        return json_integer(value);
    }
    g_autofree char *range =
        g_strdup_printf("a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, key->least, key->most);
    complain(check, key, node, text, range);
    return NULL;
}

static json_t *boolean_value(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    gboolean yes = g_ascii_strcasecmp(text, "true") == 0;
    if (yes || g_ascii_strcasecmp(text, "false") == 0) {
        return json_boolean(yes);
    }
    complain(check, key, node, text, expectation(key));
    return NULL;
}

static json_t *size_value(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    guint64 bytes = 0;
    if (!ingot_text_parse_size(text, &bytes, NULL) || bytes > G_MAXINT64) {
        complain(check, key, node, text, expectation(key));
        return NULL;
    }
    if (bytes < (guint64)key->least) {
        g_autofree char *least = g_strdup_printf("at least %" G_GINT64_FORMAT "M", key->least >> 20);
        complain(check, key, node, text, least);
        return NULL;
    }
    return json_integer((json_int_t)bytes);
}

static json_t *duration_value(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    guint64 seconds = 0;
    if (!ingot_text_parse_duration(text, &seconds, NULL)) {
        complain(check, key, node, text, expectation(key));
        return NULL;
    }
    if (seconds < 1 || seconds > LONGEST_SECONDS) {
        complain(check, key, node, text, "from 1s to 30d");
        return NULL;
    }
    return json_integer((json_int_t)seconds);
}

static gboolean check_word(const Check *check, const Key *key, const YamlNode *node, const char *text,
                           const char *const *words)
{
    if (g_strv_contains(words, text)) {
        return TRUE;
    }
    g_autofree char *quoted = diagnostics_quote(text);
    g_autofree char *suggestion = ingot_text_suggestion(text, words);
    g_autofree char *all = g_strjoinv(", ", (char **)words);
    diagnostics_add(check->diagnostics, &node->place, "'%s': unknown word %s%s; known: %s", key->name, quoted,
                    suggestion, all);
    return FALSE;
}

static gboolean check_format(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const IngotFormat *const *format = ingot_formats(); *format != NULL; format++) {
        g_ptr_array_add(names, (gpointer)(*format)->name);
    }
    g_ptr_array_add(names, NULL);
    return check_word(check, key, node, text, (const char *const *)names->pdata);
}

static gboolean check_regex(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GRegex) regex = g_regex_new(text, 0, 0, &error);
    if (regex == NULL) {
        g_autofree char *quoted = diagnostics_quote(text);
        diagnostics_add(check->diagnostics, &node->place, "'%s': %s is not a regular expression: %s", key->name, quoted,
                        error->message);
    }
    return regex != NULL;
}

static gboolean check_pattern(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    if (key->pattern != NULL && !g_regex_match_simple(key->pattern, text, G_REGEX_DOLLAR_ENDONLY, 0)) {
        complain(check, key, node, text, key->hint);
        return FALSE;
    }
    return TRUE;
}

char *value_host_path(const Check *check, const char *path)
{
    char *absolute = g_canonicalize_filename(path, check->folder);
    if (g_str_has_suffix(path, "/") && !g_str_has_suffix(absolute, "/")) {
        g_autofree char *bare = absolute;
        absolute = g_strconcat(bare, "/", NULL);
    }
    return absolute;
}

/* Whether the path, links followed, leads out of the folder that the recipe is kept to. */
static gboolean path_leads_out(const Check *check, const char *path)
{
    if (check->within == NULL) {
        return FALSE;
    }
    g_autofree char *root = realpath(check->within, NULL), *real = realpath(path, NULL);
    g_autofree char *below = root == NULL ? NULL : g_strconcat(root, "/", NULL);
    return root == NULL || real == NULL || (strcmp(real, root) != 0 && !g_str_has_prefix(real, below));
}

void value_check_path(const Check *check, const YamlNode *node, const char *path, gboolean file, gint64 most)
{
    g_autofree char *quoted = diagnostics_quote(node->text);
    struct stat st;
    if (stat(path, &st) != 0) {
        diagnostics_add(check->diagnostics, &node->place, "%s: there is no '%s'", quoted, path);
    } else if (path_leads_out(check, path)) {
        diagnostics_add(
            check->diagnostics, &node->place,
            "%s: is outside of the recipe's folder, and a recipe that came with an image or from a registry "
            "may read nothing else of this host",
            quoted);
    } else if (file && !S_ISREG(st.st_mode)) {
        diagnostics_add(check->diagnostics, &node->place, "%s: '%s' is %s; a file is expected", quoted, path,
                        S_ISDIR(st.st_mode) ? "a folder" : "a device, socket or pipe");
    } else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        diagnostics_add(check->diagnostics, &node->place,
                        "%s: '%s' is a device, socket or pipe; a file or a folder is expected", quoted, path);
    } else if (most > 0 && st.st_size > most) {
        g_autofree char *size = ingot_text_size((guint64)st.st_size), *limit = ingot_text_size((guint64)most);
        diagnostics_add(check->diagnostics, &node->place, "%s: '%s' has %s; at most %s are possible", quoted, path,
                        size, limit);
    }
}

char *value_shown(const Check *check, const YamlNode *node, const char *text, ExpandFlags flags)
{
    if (!check->shown) {
        return g_strdup(text);
    }
    g_autofree char *starred = variables_expand(check->variables, node, flags | EXPAND_SHOWN, check->diagnostics);
    return ingot_secrets_mask(variables_secrets(check->variables), starred);
}

static gboolean text_fits(const Check *check, const Key *key, const YamlNode *node, const char *text)
{
    if (*text == '\0' && key->kind != KIND_SCALAR) {
        diagnostics_add(check->diagnostics, &node->place, "'%s' is empty", key->name);
        return FALSE;
    }
    switch (key->kind) {
    case KIND_MODE:
        if (!g_regex_match_simple("^[0-7]{3,4}$", text, G_REGEX_DOLLAR_ENDONLY, 0)) {
            complain(check, key, node, text, expectation(key));
            return FALSE;
        }
        return TRUE;
    case KIND_WORD:
        return check_word(check, key, node, text, key->words);
    case KIND_FORMAT:
        return check_format(check, key, node, text);
    case KIND_REGEX:
        return check_regex(check, key, node, text);
    default:
        return check_pattern(check, key, node, text);
    }
}

static json_t *text_value(const Check *check, const Key *key, const YamlNode *node, const char *text, ExpandFlags flags)
{
    if (!text_fits(check, key, node, text)) {
        return NULL;
    }
    if (key->kind == KIND_HOST_PATH && !check->shown) {
        g_autofree char *absolute = value_host_path(check, text);
        value_check_path(check, node, absolute, TRUE, key->most);
        return json_string(absolute);
    }
    gboolean came = check->tests_of != NULL || (check->inputs != NULL && check->inputs->fetched != NULL);
    if (key->hidden && came && strcmp(text, "***") == 0) {
        diagnostics_add(check->diagnostics, &node->place, "'%s': it is a secret, which is not kept with the image",
                        key->name);
        return NULL;
    }
    if (key->hidden) {
        variables_add_secret(check->variables, text);
        variables_hide(check->variables, node);
    }
    g_autofree char *shown = value_shown(check, node, text, flags);
    return json_string(shown);
}

static gboolean may_hold_secrets(const Key *key)
{
    return key->kind == KIND_STRING || key->kind == KIND_SCALAR || key->kind == KIND_SCRIPT || key->kind == KIND_REGEX;
}

json_t *value_of(const Check *check, const Key *key, const YamlNode *node, gboolean secrets)
{
    if (node->wrong || !check_type(check, key, node)) {
        return NULL;
    }
    ExpandFlags flags =
        (key->kind == KIND_SCRIPT ? EXPAND_SHELL : 0) | (secrets && may_hold_secrets(key) ? EXPAND_SECRETS : 0);
    g_autofree char *text = variables_expand(check->variables, node, flags, check->diagnostics);
    if (text == NULL) {
        return NULL;
    }
    switch (key->kind) {
    case KIND_INTEGER:
        return integer_value(check, key, node, text);
    case KIND_BOOLEAN:
        return boolean_value(check, key, node, text);
    case KIND_SIZE:
        return size_value(check, key, node, text);
    case KIND_DURATION:
        return duration_value(check, key, node, text);
    default:
        return text_value(check, key, node, text, flags);
    }
}

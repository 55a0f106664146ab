#include "bundle/checksums.h"

#include <string.h>

#include "bundle/refuse.h"

void checksum_free(gpointer data)
{
    Checksum *checksum = data;
    g_free(checksum->file);
    g_free(checksum->hex);
    g_free(checksum);
}

static const struct {
    const char *name;
    GChecksumType type;
    gsize digits;
} types[] = {{"1", G_CHECKSUM_SHA1, 40},
             {"256", G_CHECKSUM_SHA256, 64},
             {"384", G_CHECKSUM_SHA384, 96},
             {"512", G_CHECKSUM_SHA512, 128}};

/* name NULL: by the number of digits alone. */
static gboolean find_type(const char *name, gsize digits, GChecksumType *type)
{
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        if (types[i].digits == digits && (name == NULL || strcmp(name, types[i].name) == 0)) {
            *type = types[i].type;
            return TRUE;
        }
    }
    return FALSE;
}

/* The ways in which a line is written, and which part of it is what; kind 0: none says it. */
static const struct {
    const char *pattern;
    int kind, file, hex;
} spellings[] = {
    {"^\\s*SHA-?([0-9]+)\\s*\\((.+)\\)\\s*=\\s*([0-9A-Fa-f]+)\\s*$", 1, 2, 3},
    {"^\\s*([0-9A-Fa-f]{40,128})\\s[\\s*](\\S.*)$", 0, 2, 1},
};

static Checksum *parse_as(guint spelling, const GRegex *regex, const char *line)
{
    g_autoptr(GMatchInfo) match = NULL;
    GChecksumType type;
    if (!g_regex_match(regex, line, 0, &match)) {
        return NULL;
    }
    int kind = spellings[spelling].kind;
    g_autofree char *name = kind == 0 ? NULL : g_match_info_fetch(match, kind);
    g_autofree char *hex = g_match_info_fetch(match, spellings[spelling].hex);
    if (!find_type(name, strlen(hex), &type)) {
        return NULL;
    }
    Checksum *checksum = g_new0(Checksum, 1);
    checksum->type = type;
    checksum->file = g_match_info_fetch(match, spellings[spelling].file);
    checksum->hex = g_ascii_strdown(hex, -1);
    return checksum;
}

static GPtrArray *compile_spellings(void)
{
    GPtrArray *regexes = g_ptr_array_new_with_free_func((GDestroyNotify)g_regex_unref);
    for (guint i = 0; i < G_N_ELEMENTS(spellings); i++) {
        g_ptr_array_add(regexes, g_regex_new(spellings[i].pattern, G_REGEX_RAW | G_REGEX_OPTIMIZE, 0, NULL));
    }
    return regexes;
}

static Checksum *parse_line(const GPtrArray *regexes, const char *line)
{
    Checksum *checksum = NULL;
    for (guint i = 0; checksum == NULL && i < regexes->len; i++) {
        checksum = parse_as(i, g_ptr_array_index(regexes, i), line);
    }
    return checksum;
}

GPtrArray *checksums_parse(const char *text, gsize size, const char *name, GError **error)
{
    g_autoptr(GPtrArray) regexes = compile_spellings();
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(checksum_free);
    gsize mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* that it is UTF-8 */
    g_autofree char *whole = g_strndup(text + mark, size - mark);
    g_auto(GStrv) lines = g_strsplit(whole, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (*g_strstrip(lines[i]) == '\0') {
            continue;
        }
        Checksum *checksum = g_utf8_validate(lines[i], -1, NULL) ? parse_line(regexes, lines[i]) : NULL;
        if (checksum == NULL) {
            bundle_refuse(name, error, "line %u: a line like 'SHA256(disk.vmdk)= 0123...' is expected", i + 1);
            return NULL;
        }
        g_ptr_array_add(all, checksum);
        if (!g_hash_table_add(seen, checksum->file)) {
            bundle_refuse(name, error, "line %u: '%.200s' comes a second time", i + 1, checksum->file);
            return NULL;
        }
    }
    return g_steal_pointer(&all);
}

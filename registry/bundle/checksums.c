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

static gboolean find_type(const char *text, GChecksumType *type)
{
    static const struct {
        const char *name;
        GChecksumType type;
    } types[] = {{"SHA1", G_CHECKSUM_SHA1},
                 {"SHA256", G_CHECKSUM_SHA256},
                 {"SHA384", G_CHECKSUM_SHA384},
                 {"SHA512", G_CHECKSUM_SHA512}};
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        if (strcmp(text, types[i].name) == 0) {
            *type = types[i].type;
            return TRUE;
        }
    }
    return FALSE;
}

static Checksum *parse_line(const GRegex *regex, const char *line)
{
    g_autoptr(GMatchInfo) match = NULL;
    GChecksumType type;
    if (!g_regex_match(regex, line, 0, &match)) {
        return NULL;
    }
    g_autofree char *kind = g_match_info_fetch(match, 1);
    g_autofree char *hex = g_match_info_fetch(match, 3);
    if (!find_type(kind, &type) || strlen(hex) != 2 * (gsize)g_checksum_type_get_length(type)) {
        return NULL;
    }
    Checksum *checksum = g_new0(Checksum, 1);
    checksum->type = type;
    checksum->file = g_match_info_fetch(match, 2);
    checksum->hex = g_ascii_strdown(hex, -1);
    return checksum;
}

GPtrArray *checksums_parse(const char *text, gsize size, const char *name, GError **error)
{
    g_autoptr(GRegex) regex =
        g_regex_new("^\\s*(SHA[0-9]+)\\s*\\((.+)\\)\\s*=\\s*([0-9A-Fa-f]+)\\s*$", G_REGEX_RAW, 0, NULL);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(checksum_free);
    g_autofree char *whole = g_strndup(text, size);
    g_auto(GStrv) lines = g_strsplit(whole, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        if (*g_strstrip(lines[i]) == '\0') {
            continue;
        }
        Checksum *checksum = g_utf8_validate(lines[i], -1, NULL) ? parse_line(regex, lines[i]) : NULL;
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

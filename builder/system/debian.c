#include "system/debian.h"

#include <string.h>

/* dpkg's status: paragraphs of "Field: value", folded lines start with a space. */
json_t *debian_packages(const char *dpkg_status)
{
    json_t *packages = json_array();
    g_auto(GStrv) paragraphs = g_strsplit(dpkg_status, "\n\n", -1);
    for (char **paragraph = paragraphs; *paragraph != NULL; paragraph++) {
        g_auto(GStrv) lines = g_strsplit(*paragraph, "\n", -1);
        const char *name = NULL, *version = NULL, *architecture = NULL;
        gboolean installed = FALSE;
        for (char **line = lines; *line != NULL; line++) {
            if (g_str_has_prefix(*line, "Package: ")) {
                name = *line + strlen("Package: ");
            } else if (g_str_has_prefix(*line, "Version: ")) {
                version = *line + strlen("Version: ");
            } else if (g_str_has_prefix(*line, "Architecture: ")) {
                architecture = *line + strlen("Architecture: ");
            } else if (g_str_has_prefix(*line, "Status: ")) {
                installed = g_str_has_suffix(*line, " installed");
            }
        }
        if (installed && name != NULL && version != NULL && architecture != NULL) {
            json_array_append_new(packages, ingot_json_pack("{s:o, s:o, s:o}", "name", ingot_json_text(name), "version",
                                                            ingot_json_text(version), "architecture",
                                                            ingot_json_text(architecture)));
        }
    }
    return packages;
}

static char *os_field(char **lines, const char *field)
{
    for (char **line = lines; *line != NULL; line++) {
        const char *value = g_str_has_prefix(*line, field) ? *line + strlen(field) : NULL;
        if (value != NULL && *value == '=') {
            return g_shell_unquote(value + 1, NULL);
        }
    }
    return NULL;
}

json_t *debian_os(const char *os_release, const char *debian_version)
{
    g_auto(GStrv) lines = g_strsplit(os_release, "\n", -1);
    g_autofree char *id = os_field(lines, "ID");
    g_autofree char *version = os_field(lines, "VERSION_ID");
    if (g_strcmp0(id, "debian") == 0 && debian_version != NULL && g_ascii_isdigit(debian_version[0])) {
        g_free(version);
        version = g_strstrip(g_strdup(debian_version));
    }
    json_t *os = json_object();
    ingot_json_set_string(os, "id", id);
    ingot_json_set_string(os, "version", version);
    return os;
}

#include "evidence/packages.h"

#include <ingot/error.h>
#include <string.h>

static void package_free(gpointer data)
{
    Package *package = data;
    g_free(package->name);
    g_free(package->version);
    g_free(package->type);
    g_free(package);
}

/* "pkg:TYPE/…": the type, in lower case as the specification has it; NULL: it is no package URL. */
static char *purl_type(const char *purl)
{
    const char *type = purl == NULL || !g_str_has_prefix(purl, "pkg:") ? NULL : purl + strlen("pkg:");
    const char *end = type == NULL ? NULL : strchr(type, '/');
    if (end == NULL || end == type) {
        return NULL;
    }
    g_autofree char *word = g_strndup(type, (gsize)(end - type));
    return g_ascii_strdown(word, -1);
}

static const char *package_purl(const json_t *package)
{
    const json_t *all = json_object_get(package, "externalRefs");
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        if (g_strcmp0(json_string_value(json_object_get(one, "referenceType")), "purl") == 0) {
            return json_string_value(json_object_get(one, "referenceLocator"));
        }
    }
    return NULL;
}

/* NULL: the document doesn't say, in one of SPDX's ways of not saying. */
static const char *package_version(const json_t *package)
{
    static const char *const unknown[] = {"", "NOASSERTION", "NONE", NULL};
    const char *version = json_string_value(json_object_get(package, "versionInfo"));
    return version == NULL || g_strv_contains(unknown, version) ? NULL : version;
}

GPtrArray *packages_parse(const void *bytes, gsize size, GError **error)
{
    gsize room = PACKAGES_VALUES;
    g_autoptr(json_t) root =
        size > PACKAGES_MAX ? NULL : ingot_json_parse_within(bytes, size, "package list", &room, NULL);
    const char *version = json_string_value(json_object_get(root, "spdxVersion"));
    const json_t *all = json_object_get(root, "packages");
    if (version == NULL || !g_str_has_prefix(version, "SPDX-2.") || (all != NULL && !json_is_array(all))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT,
                    "this is not a package list in SPDX 2 JSON, or it is too large");
        return NULL;
    }
    GPtrArray *packages = g_ptr_array_new_with_free_func(package_free);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        const char *name = json_string_value(json_object_get(one, "name"));
        if (name != NULL) {
            Package *package = g_new0(Package, 1);
            package->name = g_strdup(name);
            package->version = g_strdup(package_version(one));
            package->type = purl_type(package_purl(one));
            g_ptr_array_add(packages, package);
        }
    }
    return packages;
}

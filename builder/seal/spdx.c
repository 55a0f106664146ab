#include "seal/spdx.h"

#include <ingot/digest.h>
#include <string.h>

static const char *package_type(const json_t *package)
{
    const char *type = json_string_value(json_object_get(package, "type"));
    return type == NULL ? "deb" : type;
}

/* "pkg:TYPE/NAMESPACE/NAME@VERSION?arch=…&distro=…", by the package-url specification and its types: the qualifiers are
 * sorted, and rpm's epoch is one of them, where dpkg's is part of the version. */
static char *package_url(const json_t *os, const json_t *package)
{
    const char *type = package_type(package);
    const char *id = json_string_value(json_object_get(os, "id"));
    const char *release = json_string_value(json_object_get(os, "version"));
    const char *version = json_string_value(json_object_get(package, "version"));
    const char *colon = strcmp(type, "rpm") == 0 ? strchr(version, ':') : NULL;
    g_autofree char *name = g_uri_escape_string(json_string_value(json_object_get(package, "name")), NULL, FALSE);
    g_autofree char *escaped = g_uri_escape_string(colon == NULL ? version : colon + 1, NULL, FALSE);
    GString *url = g_string_new(NULL);
    g_string_append_printf(url, "pkg:%s/%s/%s@%s?arch=%s", type, id == NULL ? "unknown" : id, name, escaped,
                           json_string_value(json_object_get(package, "architecture")));
    if (id != NULL && release != NULL) {
        g_string_append_printf(url, "&distro=%s-%s", id, release);
    }
    if (colon != NULL) {
        g_string_append_printf(url, "&epoch=%.*s", (int)(colon - version), version);
    }
    return g_string_free(url, FALSE);
}

static json_t *spdx_package(const json_t *os, const json_t *package, guint number)
{
    const char *name = json_string_value(json_object_get(package, "name"));
    const char *version = json_string_value(json_object_get(package, "version"));
    g_autofree char *id = g_strdup_printf("SPDXRef-Package-%u", number);
    g_autofree char *purl = package_url(os, package);
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:s}]}", "SPDXID", id, "name", name, "versionInfo",
                     version, "downloadLocation", "NOASSERTION", "filesAnalyzed", 0, "externalRefs",
                     "referenceCategory", "PACKAGE-MANAGER", "referenceType", "purl", "referenceLocator", purl);
}

char *spdx_from_packages(const char *name, const json_t *os, const char *created, const json_t *packages)
{
    g_autofree char *list = ingot_json_canonical(packages);
    IngotDigest digest;
    ingot_digest_of(list, strlen(list), &digest);
    g_autofree char *text = ingot_digest_to_text(&digest);
    /* The namespace must be unique to the document: the list's digest is. */
    g_autofree char *space = g_strdup_printf("urn:ingot:%s:%s", name, text);
    g_autoptr(json_t) found = json_array();
    g_autoptr(json_t) relations = json_array();
    for (size_t i = 0; i < json_array_size(packages); i++) {
        json_t *one = spdx_package(os, json_array_get(packages, i), (guint)i);
        json_array_append_new(relations,
                              json_pack("{s:s, s:s, s:O}", "spdxElementId", "SPDXRef-DOCUMENT", "relationshipType",
                                        "DESCRIBES", "relatedSpdxElement", json_object_get(one, "SPDXID")));
        json_array_append_new(found, one);
    }
    g_autoptr(json_t) document = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:[s]}, s:O, s:O}", "spdxVersion", "SPDX-2.3", "dataLicense", "CC0-1.0",
        "SPDXID", "SPDXRef-DOCUMENT", "name", name, "documentNamespace", space, "creationInfo", "created", created,
        "creators", "Tool: ingot-" INGOT_VERSION, "packages", found, "relationships", relations);
    return ingot_json_pretty(document);
}

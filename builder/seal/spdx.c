#include "seal/spdx.h"

#include <ingot/digest.h>
#include <string.h>

static const char *purl_type(const char *os_id)
{
    static const char *const deb[] = {"debian", "ubuntu", "kalilinux", "linuxmint", NULL};
    return g_strv_contains(deb, os_id) ? "deb" : "rpm";
}

static json_t *spdx_package(const char *os_id, const json_t *package, guint number)
{
    const char *name = json_string_value(json_object_get(package, "name"));
    const char *version = json_string_value(json_object_get(package, "version"));
    const char *architecture = json_string_value(json_object_get(package, "architecture"));
    g_autofree char *id = g_strdup_printf("SPDXRef-Package-%u", number);
    g_autofree char *escaped = g_uri_escape_string(version, NULL, FALSE);
    g_autofree char *purl =
        g_strdup_printf("pkg:%s/%s/%s@%s?arch=%s", purl_type(os_id), os_id, name, escaped, architecture);
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:[{s:s, s:s, s:s}]}", "SPDXID", id, "name", name, "versionInfo",
                     version, "downloadLocation", "NOASSERTION", "filesAnalyzed", 0, "externalRefs",
                     "referenceCategory", "PACKAGE-MANAGER", "referenceType", "purl", "referenceLocator", purl);
}

char *spdx_from_packages(const char *name, const char *os_id, const char *created, const json_t *packages)
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
        json_t *one = spdx_package(os_id, json_array_get(packages, i), (guint)i);
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

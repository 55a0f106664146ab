#include "server/boxes/hcpjson.h"

#include <string.h>

#include "base/text.h"
#include "server/boxes/boxlist.h"

/* What is not known is left out, as there. */
static void set_time(json_t *object, const char *key, gint64 seconds)
{
    g_autofree char *text = seconds == 0 ? NULL : ingot_text_time(seconds);
    ingot_json_set_string(object, key, text);
}

/* Its 64-bit numbers are texts. */
static void set_count(json_t *object, const char *key, gsize count)
{
    g_autofree char *text = g_strdup_printf("%" G_GSIZE_FORMAT, count);
    ingot_json_set_string(object, key, text);
}

static gboolean is_visible(const BoxJson *by, const VagrantVersion *version)
{
    return by->drafts || version->status == VAGRANT_ACTIVE;
}

/* --- architectures --- */

char *hcp_url(const BoxJson *by, const VagrantProvider *provider)
{
    gboolean ours = provider->url != NULL && g_str_has_prefix(provider->url, BOX_FORMATS);
    return provider->url == NULL ? NULL : g_strconcat(ours ? by->base : "", provider->url, NULL);
}

void hcp_json_set_checksum(json_t *object, const VagrantProvider *provider)
{
    g_autofree char *type = g_ascii_strup(provider->checksum_type == NULL ? "none" : provider->checksum_type, -1);
    ingot_json_set_string(object, "checksum_type", type);
    ingot_json_set_string(object, "checksum", provider->checksum);
}

json_t *hcp_json_architecture(const BoxJson *by, const VagrantProvider *provider)
{
    json_t *object = json_object(), *data = json_object();
    g_autofree char *url = hcp_url(by, provider);
    ingot_json_set_string(object, "architecture_type", provider->architecture);
    json_object_set_new(object, "default", json_boolean(provider->is_default));
    set_time(object, "created_at", provider->created);
    set_time(object, "updated_at", provider->updated);
    json_object_set_new(object, "box_data", data);
    hcp_json_set_checksum(data, provider);
    ingot_json_set_string(data, "download_url", url);
    return object;
}

/* --- providers --- */

/* Texts of the version: each name once. Free it. */
static GPtrArray *names_of(const VagrantVersion *version)
{
    GPtrArray *names = g_ptr_array_new();
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *provider = g_ptr_array_index(version->providers, i);
        if (!g_ptr_array_find_with_equal_func(names, provider->name, g_str_equal, NULL)) {
            g_ptr_array_add(names, provider->name);
        }
    }
    for (guint i = 0; version->begun != NULL && version->begun[i] != NULL; i++) {
        if (!g_ptr_array_find_with_equal_func(names, version->begun[i], g_str_equal, NULL)) {
            g_ptr_array_add(names, version->begun[i]);
        }
    }
    return names;
}

static json_t *provider_of(const BoxJson *by, const VagrantVersion *version, const char *name)
{
    json_t *object = json_object(), *summary = json_object(), *types = json_array(), *architectures = json_array();
    gint64 created = 0, updated = 0;
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *provider = g_ptr_array_index(version->providers, i);
        if (strcmp(provider->name, name) == 0) {
            created = created == 0 ? provider->created : MIN(created, provider->created);
            updated = MAX(updated, provider->updated);
            json_array_append_new(types, ingot_json_text(provider->architecture));
            json_array_append_new(architectures, hcp_json_architecture(by, provider));
        }
    }
    ingot_json_set_string(object, "name", name);
    set_time(object, "created_at", created);
    set_time(object, "updated_at", updated);
    json_object_set_new(object, "summary", summary);
    set_count(summary, "architectures_count", json_array_size(types));
    json_object_set_new(summary, "architecture_types", types);
    json_object_set_new(object, "architectures", architectures);
    return object;
}

json_t *hcp_json_provider(const BoxJson *by, const VagrantVersion *version, const char *name)
{
    g_autoptr(GPtrArray) names = names_of(version);
    return g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL) ? provider_of(by, version, name) : NULL;
}

json_t *hcp_json_providers(const BoxJson *by, const VagrantVersion *version)
{
    g_autoptr(GPtrArray) names = names_of(version);
    json_t *list = json_array();
    for (guint i = 0; i < names->len; i++) {
        json_array_append_new(list, provider_of(by, version, g_ptr_array_index(names, i)));
    }
    return list;
}

static json_t *name_list(const VagrantVersion *version)
{
    g_autoptr(GPtrArray) names = names_of(version);
    json_t *list = json_array();
    for (guint i = 0; i < names->len; i++) {
        json_array_append_new(list, ingot_json_text(g_ptr_array_index(names, i)));
    }
    return list;
}

/* --- versions --- */

json_t *hcp_json_version(const BoxJson *by, const VagrantVersion *version)
{
    static const char *const states[] = {
        [VAGRANT_ACTIVE] = "ACTIVE", [VAGRANT_UNRELEASED] = "UNRELEASED", [VAGRANT_REVOKED] = "REVOKED"};
    json_t *object = json_object(), *summary = json_object(), *names = name_list(version);
    ingot_json_set_string(object, "name", version->version);
    ingot_json_set_string(object, "description", version->description);
    ingot_json_set_string(object, "state", states[version->status]);
    set_time(object, "created_at", version->created);
    set_time(object, "updated_at", version->updated);
    json_object_set_new(object, "summary", summary);
    set_count(summary, "providers_count", json_array_size(names));
    json_object_set_new(summary, "provider_names", names);
    json_object_set_new(object, "providers", hcp_json_providers(by, version));
    return object;
}

json_t *hcp_json_versions(const BoxJson *by, const VagrantBox *box)
{
    json_t *list = json_array();
    for (guint i = 0; i < box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(box->versions, i);
        if (is_visible(by, version)) {
            json_array_append_new(list, hcp_json_version(by, version));
        }
    }
    return list;
}

/* --- boxes --- */

static gsize count_visible(const BoxJson *by, const VagrantBox *box)
{
    gsize count = 0;
    for (guint i = 0; i < box->versions->len; i++) {
        count += is_visible(by, g_ptr_array_index(box->versions, i));
    }
    return count;
}

static const char *state_of(const BoxJson *by, const VagrantBox *box)
{
    const VagrantVersion *newest = box_newest(box);
    return count_visible(by, box) == 0   ? "NO_VERSIONS"
           : newest == NULL              ? "NO_RELEASED_VERSIONS"
           : newest->providers->len == 0 ? "NO_PROVIDERS"
                                         : "AVAILABLE";
}

json_t *hcp_json_brief(const BoxJson *by, const VagrantBox *box)
{
    json_t *object = json_object(), *summary = json_object();
    const char *slash = strrchr(box->name, '/');
    const VagrantVersion *newest = box_newest(box);
    ingot_json_set_string(object, "name", slash == NULL ? box->name : slash + 1);
    ingot_json_set_string(object, "short_description", box->short_description);
    ingot_json_set_string(object, "description", box->description);
    json_object_set_new(object, "is_private", json_boolean(box->is_private));
    ingot_json_set_string(object, "state", state_of(by, box));
    set_time(object, "created_at", box_created(box));
    set_time(object, "updated_at", box_updated(box));
    json_object_set_new(object, "summary", summary);
    set_count(summary, "versions_count", count_visible(by, box));
    json_object_set_new(summary, "provider_names", newest == NULL ? json_array() : name_list(newest));
    return object;
}

json_t *hcp_json_box(const BoxJson *by, const VagrantBox *box)
{
    json_t *object = hcp_json_brief(by, box);
    json_object_set_new(object, "versions", hcp_json_versions(by, box));
    return object;
}

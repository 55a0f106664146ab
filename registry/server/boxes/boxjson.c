#include "server/boxes/boxjson.h"

#include <string.h>

#include "base/text.h"
#include "server/boxes/boxclaims.h"
#include "server/boxes/boxlist.h"

static void set_time(json_t *object, const char *key, gint64 seconds)
{
    g_autofree char *text = ingot_text_time(seconds);
    ingot_json_set_string(object, key, text);
}

/* A missing text is null, as the API has it. */
static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, text == NULL ? json_null() : ingot_json_text(text));
}

json_t *box_json_provider(const BoxJson *by, const VagrantProvider *provider)
{
    gboolean ours = provider->url == NULL || g_str_has_prefix(provider->url, BOX_FORMATS);
    g_autofree char *url = provider->url == NULL ? NULL : g_strconcat(ours ? by->base : "", provider->url, NULL);
    json_t *object = json_object();
    ingot_json_set_string(object, "name", provider->name);
    json_object_set_new(object, "hosted", json_boolean(ours));
    json_object_set_new(object, "hosted_token", json_null());
    set_text(object, "original_url", ours ? NULL : url);
    set_time(object, "created_at", provider->created);
    set_time(object, "updated_at", provider->updated);
    set_text(object, "download_url", url);
    set_text(object, "checksum", provider->checksum);
    set_text(object, "checksum_type", provider->checksum_type);
    set_text(object, "architecture", provider->architecture);
    json_object_set_new(object, "default_architecture", json_boolean(provider->is_default));
    return object;
}

static const char *status_word(VagrantStatus status)
{
    return status == VAGRANT_REVOKED ? "revoked" : status == VAGRANT_UNRELEASED ? "unreleased" : "active";
}

json_t *box_json_version(const BoxJson *by, const VagrantBox *box, const VagrantVersion *version)
{
    json_t *object = json_object(), *providers = json_array();
    g_autofree char *url = g_strdup_printf("%s/box/%s/version/%s", by->from, box->name, version->version);
    g_autofree char *release = g_strconcat(url, "/release", NULL), *revoke = g_strconcat(url, "/revoke", NULL);
    ingot_json_set_string(object, "version", version->version);
    ingot_json_set_string(object, "number", version->version);
    ingot_json_set_string(object, "status", status_word(version->status));
    set_text(object, "description_markdown", version->description);
    set_time(object, "created_at", version->created);
    set_time(object, "updated_at", version->updated);
    ingot_json_set_string(object, "release_url", release);
    ingot_json_set_string(object, "revoke_url", revoke);
    json_object_set_new(object, "providers", providers);
    for (guint i = 0; i < version->providers->len; i++) {
        json_array_append_new(providers, box_json_provider(by, g_ptr_array_index(version->providers, i)));
    }
    return object;
}

const VagrantVersion *box_newest(const VagrantBox *box)
{
    for (guint i = 0; i < box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(box->versions, i);
        if (version->status == VAGRANT_ACTIVE) {
            return version;
        }
    }
    return NULL;
}

/* One that has no record began with its oldest version. */
gint64 box_created(const VagrantBox *box)
{
    gint64 first = box->created;
    for (guint i = 0; first == 0 && i < box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(box->versions, box->versions->len - 1 - i);
        first = version->created;
    }
    return first;
}

gint64 box_updated(const VagrantBox *box)
{
    gint64 last = MAX(box->updated, box_created(box));
    for (guint i = 0; i < box->versions->len; i++) {
        last = MAX(last, ((const VagrantVersion *)g_ptr_array_index(box->versions, i))->updated);
    }
    return last;
}

json_t *box_json_brief(const BoxJson *by, const VagrantBox *box)
{
    json_t *object = json_object();
    const char *slash = strrchr(box->name, '/');
    const VagrantVersion *newest = box_newest(box);
    g_autofree char *org = slash == NULL ? g_strdup("") : g_strndup(box->name, (gsize)(slash - box->name));
    ingot_json_set_string(object, "tag", box->name);
    ingot_json_set_string(object, "username", org);
    ingot_json_set_string(object, "name", slash == NULL ? box->name : slash + 1);
    json_object_set_new(object, "private", json_boolean(box->is_private));
    set_time(object, "created_at", box_created(box));
    set_time(object, "updated_at", box_updated(box));
    set_text(object, "short_description", box->short_description);
    set_text(object, "description_markdown", box->description);
    json_object_set_new(object, "current_version", newest == NULL ? json_null() : box_json_version(by, box, newest));
    return object;
}

json_t *box_json(const BoxJson *by, const VagrantBox *box)
{
    json_t *object = box_json_brief(by, box), *versions = json_array();
    json_object_set_new(object, "versions", versions);
    for (guint i = 0; i < box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(box->versions, i);
        if (by->drafts || version->status == VAGRANT_ACTIVE) {
            json_array_append_new(versions, box_json_version(by, box, version));
        }
    }
    return object;
}

/* That name as it is written. */
static const VagrantProvider *find_written(const VagrantVersion *version, const char *name, const char *architecture)
{
    const VagrantProvider *first = NULL;
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *provider = g_ptr_array_index(version->providers, i);
        if (strcmp(provider->name, name) != 0) {
            continue;
        }
        if (architecture == NULL ? provider->is_default : g_strcmp0(provider->architecture, architecture) == 0) {
            return provider;
        }
        first = architecture == NULL && first == NULL ? provider : first;
    }
    return first;
}

const VagrantProvider *box_find_provider(const VagrantVersion *version, const char *name, const char *architecture)
{
    const VagrantProvider *provider = find_written(version, name, architecture);
    return provider != NULL ? provider : find_written(version, box_claims_provider(name), architecture);
}

#include "vagrant/catalogue.h"

#include <ingot/error.h>
#include <string.h>

/* --- the structs --- */

VagrantProvider *vagrant_provider_new(const char *name)
{
    VagrantProvider *provider = g_new0(VagrantProvider, 1);
    provider->name = g_strdup(name);
    return provider;
}

void vagrant_provider_free(VagrantProvider *provider)
{
    g_free(provider->name);
    g_free(provider->architecture);
    g_free(provider->url);
    g_free(provider->checksum);
    g_free(provider->checksum_type);
    g_free(provider);
}

static GPtrArray *providers_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)vagrant_provider_free);
}

VagrantVersion *vagrant_version_new(const char *text)
{
    VagrantVersion *version = g_new0(VagrantVersion, 1);
    *version = (VagrantVersion){.version = g_strdup(text), .providers = providers_new()};
    return version;
}

void vagrant_version_free(VagrantVersion *version)
{
    g_free(version->version);
    g_free(version->description);
    g_ptr_array_unref(version->providers);
    g_strfreev(version->begun);
    g_free(version);
}

static GPtrArray *versions_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)vagrant_version_free);
}

VagrantBox *vagrant_box_new(const char *name)
{
    VagrantBox *box = g_new0(VagrantBox, 1);
    *box = (VagrantBox){.name = g_strdup(name), .versions = versions_new()};
    return box;
}

void vagrant_box_free(VagrantBox *box)
{
    g_free(box->name);
    g_free(box->short_description);
    g_free(box->description);
    g_ptr_array_unref(box->versions);
    g_free(box);
}

void vagrant_page_free(VagrantPage *page)
{
    g_ptr_array_unref(page->boxes);
    g_ptr_array_unref(page->versions);
    g_ptr_array_unref(page->providers);
    g_free(page->next);
    g_free(page);
}

/* --- reading --- */

/* The first of the keys (ended by NULL) that has a text which is not empty; NULL: none has. */
static const char *text_of(const json_t *object, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        const char *text = json_string_value(json_object_get(object, *keys));
        if (text != NULL && *text != '\0') {
            return text;
        }
    }
    return NULL;
}
#define TEXT_OF(object, ...) text_of(object, (const char *const[]){__VA_ARGS__, NULL})

/* A size is a number, or a text of digits where JSON's numbers were thought too small. */
static guint64 size_of(const json_t *value)
{
    guint64 size = 0;
    if (json_is_integer(value) && json_integer_value(value) > 0) {
        size = (guint64)json_integer_value(value);
    } else if (json_is_string(value)) {
        g_ascii_string_to_unsigned(json_string_value(value), 10, 0, G_MAXINT64, &size, NULL);
    }
    return size;
}

/* "2024-05-01T12:00:00.000Z" in seconds; 0: it is no time. */
static gint64 time_of(const json_t *object, const char *key)
{
    const char *text = TEXT_OF(object, key);
    g_autoptr(GDateTime) time = text == NULL ? NULL : g_date_time_new_from_iso8601(text, NULL);
    return time == NULL ? 0 : MAX(g_date_time_to_unix(time), 0);
}

static void read_file(VagrantProvider *provider, const json_t *file)
{
    const char *type = TEXT_OF(file, "checksum_type"), *sum = TEXT_OF(file, "checksum");
    provider->url = g_strdup(TEXT_OF(file, "download_url", "url", "original_url"));
    provider->size = size_of(json_object_get(file, "size"));
    provider->created = time_of(file, "created_at");
    provider->updated = time_of(file, "updated_at");
    if (type != NULL && sum != NULL && g_ascii_strcasecmp(type, "none") != 0) {
        provider->checksum_type = g_ascii_strdown(type, -1);
        provider->checksum = g_ascii_strdown(sum, -1);
    }
}

/* HCP has the files of a provider by architecture. */
static gboolean read_architectures(const char *name, const json_t *list, const char *what, GPtrArray *providers,
                                   GError **error)
{
    size_t at;
    const json_t *one;
    json_array_foreach(list, at, one)
    {
        const char *architecture = TEXT_OF(one, "architecture_type", "architecture");
        if (architecture == NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: provider '%s': architecture %zu has no name",
                        what, name, at + 1);
            return FALSE;
        }
        VagrantProvider *provider = vagrant_provider_new(name);
        const json_t *file = json_object_get(one, "box_data");
        provider->architecture = g_strdup(architecture);
        provider->is_default = json_is_true(json_object_get(one, "default"));
        read_file(provider, json_is_object(file) ? file : one);
        g_ptr_array_add(providers, provider);
    }
    return TRUE;
}

static gboolean read_provider(const json_t *object, const char *what, GPtrArray *providers, GError **error)
{
    const char *name = TEXT_OF(object, "name");
    if (name == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a provider has no name", what);
        return FALSE;
    }
    const json_t *architectures = json_object_get(object, "architectures");
    if (json_is_array(architectures)) {
        return read_architectures(name, architectures, what, providers, error);
    }
    VagrantProvider *provider = vagrant_provider_new(name);
    provider->architecture = g_strdup(TEXT_OF(object, "architecture"));
    provider->is_default = json_is_true(json_object_get(object, "default_architecture"));
    read_file(provider, object);
    g_ptr_array_add(providers, provider);
    return TRUE;
}

static gboolean read_providers(const json_t *list, const char *what, GPtrArray *providers, GError **error)
{
    size_t at;
    const json_t *one;
    json_array_foreach(list, at, one)
    {
        if (!read_provider(one, what, providers, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static VagrantStatus status_of(const char *word)
{
    return word == NULL                                  ? VAGRANT_ACTIVE
           : g_ascii_strcasecmp(word, "revoked") == 0    ? VAGRANT_REVOKED
           : g_ascii_strcasecmp(word, "unreleased") == 0 ? VAGRANT_UNRELEASED
                                                         : VAGRANT_ACTIVE;
}

static gboolean read_version(const json_t *object, const char *what, GPtrArray *versions, GError **error)
{
    const char *text = TEXT_OF(object, "version", "name");
    if (text == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: version %u of the list has no text as its 'version'",
                    what, versions->len + 1);
        return FALSE;
    }
    g_autofree char *place = g_strdup_printf("%s: version '%s'", what, text);
    VagrantVersion *version = vagrant_version_new(text);
    g_ptr_array_add(versions, version);
    version->description = g_strdup(TEXT_OF(object, "description_markdown", "description"));
    version->created = time_of(object, "created_at");
    version->updated = time_of(object, "updated_at");
    version->status = status_of(TEXT_OF(object, "status", "state"));
    return read_providers(json_object_get(object, "providers"), place, version->providers, error);
}

static gboolean read_versions(const json_t *list, const char *what, GPtrArray *versions, GError **error)
{
    size_t at;
    const json_t *one;
    json_array_foreach(list, at, one)
    {
        if (!read_version(one, what, versions, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* "ORG/BOX", of the words that a document may have for it; NULL: it does not say. Free it. */
static char *name_of(const json_t *object, const char *org)
{
    const char *tag = TEXT_OF(object, "tag"), *name = TEXT_OF(object, "name");
    const char *owner = TEXT_OF(object, "username", "registry");
    owner = owner == NULL ? org : owner;
    return tag != NULL                                                  ? g_strdup(tag)
           : name == NULL || strchr(name, '/') != NULL || owner == NULL ? g_strdup(name)
                                                                        : g_strconcat(owner, "/", name, NULL);
}

static VagrantBox *read_box(const json_t *object, const char *org, const char *what, GError **error)
{
    g_autofree char *name = name_of(object, org);
    const json_t *versions = json_object_get(object, "versions");
    if (name == NULL || (versions != NULL && !json_is_null(versions) && !json_is_array(versions))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: not a catalogue of Vagrant's: an object with 'name' and a list of 'versions' is expected",
                    what);
        return NULL;
    }
    g_autoptr(VagrantBox) box = vagrant_box_new(name);
    box->short_description = g_strdup(TEXT_OF(object, "short_description"));
    box->description = g_strdup(TEXT_OF(object, "description_markdown", "description"));
    box->is_private =
        json_is_true(json_object_get(object, "private")) || json_is_true(json_object_get(object, "is_private"));
    return read_versions(versions, what, box->versions, error) ? g_steal_pointer(&box) : NULL;
}

static json_t *read_json(const void *data, gsize size, const char *what, GError **error)
{
    gsize room = VAGRANT_CATALOGUE_VALUES;
    if (size > VAGRANT_CATALOGUE_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: a catalogue has at most %u MiB", what,
                    VAGRANT_CATALOGUE_MAX >> 20);
        return NULL;
    }
    return ingot_json_parse_within(data, size, what, &room, error);
}

VagrantBox *vagrant_box_parse(const void *data, gsize size, const char *org, const char *what, GError **error)
{
    g_autoptr(json_t) root = read_json(data, size, what, error);
    const json_t *inner = json_object_get(root, "box");
    return root == NULL ? NULL : read_box(json_is_object(inner) ? inner : root, org, what, error);
}

static gboolean read_boxes(const json_t *list, const char *org, const char *what, GPtrArray *boxes, GError **error)
{
    size_t at;
    const json_t *one;
    json_array_foreach(list, at, one)
    {
        VagrantBox *box = read_box(one, org, what, error);
        if (box == NULL) {
            return FALSE;
        }
        g_ptr_array_add(boxes, box);
    }
    return TRUE;
}

VagrantPage *vagrant_page_parse(const void *data, gsize size, const char *org, const char *what, GError **error)
{
    g_autoptr(json_t) root = read_json(data, size, what, error);
    g_autoptr(VagrantPage) page = g_new0(VagrantPage, 1);
    *page = (VagrantPage){.boxes = g_ptr_array_new_with_free_func((GDestroyNotify)vagrant_box_free),
                          .versions = versions_new(),
                          .providers = providers_new()};
    page->next = g_strdup(TEXT_OF(json_object_get(root, "pagination"), "next_page_token"));
    return root != NULL && read_boxes(json_object_get(root, "boxes"), org, what, page->boxes, error) &&
                   read_versions(json_object_get(root, "versions"), what, page->versions, error) &&
                   read_providers(json_object_get(root, "providers"), what, page->providers, error)
               ? g_steal_pointer(&page)
               : NULL;
}

/* --- writing --- */

static json_t *provider_json(const VagrantProvider *provider, VagrantUrl url, gpointer user)
{
    json_t *object = json_object();
    g_autofree char *shown = url == NULL ? g_strdup(provider->url) : url(provider, user);
    ingot_json_set_string(object, "name", provider->name);
    ingot_json_set_string(object, "url", shown);
    if (provider->architecture != NULL) {
        ingot_json_set_string(object, "architecture", provider->architecture);
        json_object_set_new(object, "default_architecture", json_boolean(provider->is_default));
    }
    ingot_json_set_string(object, "checksum_type", provider->checksum_type);
    ingot_json_set_string(object, "checksum", provider->checksum);
    return object;
}

static json_t *version_json(const VagrantVersion *version, VagrantUrl url, gpointer user)
{
    json_t *object = json_object(), *providers = json_array();
    ingot_json_set_string(object, "version", version->version);
    ingot_json_set_string(object, "status", "active");
    ingot_json_set_string(object, "description_markdown", version->description);
    json_object_set_new(object, "providers", providers);
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *provider = g_ptr_array_index(version->providers, i);
        if (provider->url != NULL) {
            json_array_append_new(providers, provider_json(provider, url, user));
        }
    }
    return object;
}

json_t *vagrant_box_json(const VagrantBox *box, VagrantUrl url, gpointer user)
{
    json_t *object = json_object(), *versions = json_array();
    ingot_json_set_string(object, "name", box->name);
    ingot_json_set_string(object, "short_description", box->short_description);
    ingot_json_set_string(object, "description", box->description);
    json_object_set_new(object, "versions", versions);
    for (guint i = 0; i < box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(box->versions, i);
        if (version->status == VAGRANT_ACTIVE) {
            json_array_append_new(versions, version_json(version, url, user));
        }
    }
    return object;
}

VagrantVersion *vagrant_box_version(const VagrantBox *box, const char *version)
{
    for (guint i = 0; box != NULL && version != NULL && i < box->versions->len; i++) {
        VagrantVersion *one = g_ptr_array_index(box->versions, i);
        if (strcmp(one->version, version) == 0) {
            return one;
        }
    }
    return NULL;
}

VagrantProvider *vagrant_version_provider(const VagrantVersion *version, const char *name, const char *architecture)
{
    for (guint i = 0; version != NULL && i < version->providers->len; i++) {
        VagrantProvider *one = g_ptr_array_index(version->providers, i);
        if (strcmp(one->name, name) == 0 && g_strcmp0(one->architecture, architecture) == 0) {
            return one;
        }
    }
    return NULL;
}

#include "cli/vagrant/judge.h"

#include <ingot/error.h>
#include <ingot/remote.h>
#include <ingot/store.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/vagrant/fetch.h"
#include "cli/vagrant/reading.h"
#include "transfer/admit.h"

/* Whether a box that would be made here by that URL is the one that curl would ask for. */
static gboolean is_taken_so(const char *url, const Reading *reading)
{
    g_auto(FetchPlace) place = {0};
    return !reading->is_box || !fetch_parse(url, &place) ||
           (g_ascii_strcasecmp(place.host, reading->image->host) == 0 &&
            strcmp(place.name, reading->image->name) == 0 && g_strcmp0(place.digest, reading->image->digest) == 0);
}

Judged judge_url(const char *url)
{
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    g_autoptr(GPtrArray) readings = readings_of(url);
    if (readings == NULL) {
        return admit_asks_anything(options) ? JUDGED_UNCLEAR : JUDGED_NOT;
    }
    for (guint i = 0; i < readings->len; i++) {
        const Reading *reading = g_ptr_array_index(readings, i);
        if (admit_asks(reading->image, options)) {
            return !reading->is_plain || !is_taken_so(url, reading) ? JUDGED_UNCLEAR
                   : reading->is_box                                ? JUDGED_BOX
                                                                    : JUDGED_CATALOGUE;
        }
    }
    return JUDGED_NOT;
}

/* Whether it is a box by digest of that name, and it is this registry's, or the policy asks something of it too. */
static gboolean is_judged(const char *url, const IngotReference *catalogue)
{
    g_auto(FetchPlace) place = {0};
    return url != NULL && fetch_parse(url, &place) && g_str_equal(place.name, catalogue->name) &&
           (g_str_equal(place.host, catalogue->host) || judge_url(url) == JUDGED_BOX);
}

static gboolean judge_providers(const json_t *providers, const IngotReference *catalogue, GError **error)
{
    for (size_t i = 0; i < json_array_size(providers); i++) {
        const char *url = json_string_value(json_object_get(json_array_get(providers, i), "url"));
        if (!is_judged(url, catalogue)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED,
                        "%s/%s: refused, since a policy speaks of it, and its catalogue names %s, which is not a box "
                        "of that name by digest",
                        catalogue->host, catalogue->name, url == NULL ? "a box without a URL" : url);
            return FALSE;
        }
    }
    return TRUE;
}

/* --- by tags --- */

/* A catalogue in whose versions the policy may refuse some. */
typedef struct {
    const IngotReference *catalogue;
    gboolean of_channel; /* else of all versions */
    IngotRemoteOptions *options;
    IngotStore *store;
    IngotRemote *remote;
} Versions;

static void versions_clear(Versions *versions)
{
    g_clear_pointer(&versions->options, ingot_remote_options_free);
    g_clear_pointer(&versions->store, ingot_store_free);
    g_clear_pointer(&versions->remote, ingot_remote_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Versions, versions_clear)

static gboolean version_begin(Versions *versions, GError **error)
{
    if (versions->remote == NULL) {
        versions->store = ingot_store_open_lazy(g_getenv("INGOT_STORE"));
        versions->remote = ingot_remote_new(versions->catalogue->host, versions->options, error);
    }
    return versions->remote != NULL;
}

/* Whether the boxes' images, which have been judged to be of that name by digest, may be had by that tag. */
static gboolean version_admit(Versions *versions, const IngotReference *asked, const json_t *providers, GError **error)
{
    const IngotPullOptions options = {.remote = versions->options};
    for (size_t i = 0; i < json_array_size(providers); i++) {
        g_auto(FetchPlace) place = {0};
        IngotDigest image;
        const char *url = json_string_value(json_object_get(json_array_get(providers, i), "url"));
        if (!fetch_parse(url, &place) || !ingot_digest_parse(place.digest, &image, error) ||
            !version_begin(versions, error) ||
            !admit_pull(versions->store, versions->remote, asked, &image, &options, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean version_judge(Versions *versions, const json_t *version, GError **error)
{
    const IngotReference *catalogue = versions->catalogue;
    const char *number = json_string_value(json_object_get(version, "version"));
    const char *tag = versions->of_channel ? catalogue->tag : number;
    g_autoptr(IngotReference) asked = ingot_reference_new(catalogue->host, catalogue->name, tag, NULL);
    return tag == NULL || !admit_asks_of_tag(asked, versions->options) ||
           version_admit(versions, asked, json_object_get(version, "providers"), error);
}

/* *left_out: whether there are fewer now. FALSE: none is left, by the error of the first one. */
static gboolean versions_judge(Versions *versions, json_t *list, gboolean *left_out, GError **error)
{
    g_autoptr(GError) first = NULL;
    for (size_t i = 0; i < json_array_size(list);) {
        if (version_judge(versions, json_array_get(list, i), first == NULL ? &first : NULL)) {
            i++;
        } else {
            json_array_remove(list, i);
        }
    }
    *left_out = first != NULL;
    if (first != NULL && json_array_size(list) == 0) {
        g_propagate_error(error, g_steal_pointer(&first));
        return FALSE;
    }
    return TRUE;
}

static gboolean write_catalogue(const json_t *root, const char *path, GError **error)
{
    g_autofree char *text = ingot_json_canonical(root);
    return ingot_file_replace(path, text, strlen(text), 0644, error);
}

gboolean judge_catalogue(const char *url, const char *path, GError **error)
{
    gsize room = CATALOGUE_VALUES;
    gboolean left_out;
    g_autoptr(GError) problem = NULL;
    g_autoptr(GPtrArray) readings = readings_of(url);
    const Reading *plain = readings_plain(readings);
    const IngotReference *catalogue = plain->image;
    g_autoptr(GBytes) bytes = ingot_file_read(path, CATALOGUE_MAX, &problem);
    g_autoptr(json_t) root = bytes == NULL ? NULL
                                           : ingot_json_parse_within(g_bytes_get_data(bytes, NULL),
                                                                     g_bytes_get_size(bytes), url, &room, &problem);
    if (root == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_REFUSED,
                    "%s/%s: refused, since a policy speaks of it, and its catalogue can't be read: %s", catalogue->host,
                    catalogue->name, problem->message);
        return FALSE;
    }
    json_t *list = json_object_get(root, "versions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!judge_providers(json_object_get(json_array_get(list, i), "providers"), catalogue, error)) {
            return FALSE;
        }
    }
    g_auto(Versions) versions = {
        .catalogue = catalogue, .of_channel = plain->is_channel, .options = ingot_remote_options_from_environment()};
    return versions_judge(&versions, list, &left_out, error) && (!left_out || write_catalogue(root, path, error));
}

#include "cli/vagrant/judge.h"

#include <ingot/error.h>
#include <ingot/remote.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/vagrant/fetch.h"
#include "transfer/admit.h"

Judged judge_url(const char *url)
{
    gboolean is_box;
    g_autoptr(IngotReference) image = fetch_image(url, &is_box);
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    return image == NULL || !admit_asks(image, options) ? JUDGED_NOT : is_box ? JUDGED_BOX : JUDGED_CATALOGUE;
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

gboolean judge_catalogue(const char *url, const char *path, GError **error)
{
    gboolean is_box;
    gsize room = CATALOGUE_VALUES;
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotReference) catalogue = fetch_image(url, &is_box);
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
    const json_t *versions = json_object_get(root, "versions");
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const json_t *providers = json_object_get(json_array_get(versions, i), "providers");
        if (!judge_providers(providers, catalogue, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

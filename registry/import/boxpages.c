#include "import/boxpages.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

#define PAGE 100 /* entries that are asked for at once */

static VagrantPage *get_page(const BoxPages *pages, const char *url, const char *org, GError **error)
{
    g_autofree char *at = NULL, *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = pages->get(url, VAGRANT_CATALOGUE_MAX, &at, pages->site, error);
    return bytes == NULL ? NULL
                         : vagrant_page_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), org, name, error);
}

static char *page_url(const char *url, const char *token)
{
    g_autofree char *escaped = token == NULL ? NULL : g_uri_escape_string(token, NULL, FALSE);
    return token == NULL
               ? g_strdup_printf("%s?pagination.page_size=%d", url, PAGE)
               : g_strdup_printf("%s?pagination.page_size=%d&pagination.next_page_token=%s", url, PAGE, escaped);
}

gboolean box_pages(const BoxPages *pages, const char *url, const char *org, GError **error)
{
    g_autofree char *token = NULL;
    for (guint i = 0; i < BOX_PAGES_MAX; i++) {
        g_autofree char *from = page_url(url, token);
        g_autoptr(VagrantPage) page = get_page(pages, from, org, error);
        if (page == NULL || !pages->take(page, pages->user, error)) {
            return FALSE;
        }
        if (page->next == NULL) {
            return TRUE;
        }
        g_free(token);
        token = g_strdup(page->next);
    }
    g_autofree char *name = ingot_text_url(url);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: the list has more than %u pages", name, BOX_PAGES_MAX);
    return FALSE;
}

/* --- a box of HCP's --- */

static void move_all(GPtrArray *from, GPtrArray *to)
{
    while (from->len > 0) {
        g_ptr_array_add(to, g_ptr_array_steal_index(from, 0));
    }
}

static gboolean take_versions(VagrantPage *page, gpointer user, GError **error)
{
    (void)error;
    move_all(page->versions, user);
    return TRUE;
}

static gboolean take_providers(VagrantPage *page, gpointer user, GError **error)
{
    (void)error;
    move_all(page->providers, user);
    return TRUE;
}

/* A provider whose architectures are a document of their own: as if they stood in it. */
static gboolean add_architectures(const BoxPages *pages, const char *version_url, const char *provider, GPtrArray *to,
                                  GError **error)
{
    g_autofree char *at = NULL, *url = g_strdup_printf("%s/provider/%s/architectures", version_url, provider);
    g_autofree char *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = pages->get(url, VAGRANT_CATALOGUE_MAX, &at, pages->site, error);
    g_autoptr(json_t) root =
        bytes == NULL ? NULL : ingot_json_parse_bytes(bytes, name, VAGRANT_CATALOGUE_VALUES, error);
    const json_t *list = root == NULL ? NULL : ingot_json_get_array(root, "architectures", name, error);
    if (list == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) inside =
        ingot_json_pack("{s:[{s:o, s:O}]}", "providers", "name", ingot_json_text(provider), "architectures", list);
    g_autofree char *text = ingot_json_canonical(inside);
    g_autoptr(VagrantPage) page = vagrant_page_parse(text, strlen(text), NULL, name, error);
    return page != NULL && take_providers(page, to, error);
}

static gboolean complete_version(const BoxPages *pages, const char *url, VagrantVersion *version, GError **error)
{
    g_autofree char *escaped = g_uri_escape_string(version->version, NULL, FALSE);
    g_autofree char *at = g_strdup_printf("%s/version/%s", url, escaped);
    g_autofree char *list = g_strconcat(at, "/providers", NULL);
    BoxPages providers = *pages;
    providers.take = take_providers;
    providers.user = version->providers;
    if (version->providers->len == 0 && !box_pages(&providers, list, NULL, error)) {
        return FALSE;
    }
    g_autoptr(GPtrArray) told = version->providers;
    version->providers = g_ptr_array_new_with_free_func((GDestroyNotify)vagrant_provider_free);
    for (guint i = 0; i < told->len; i++) {
        VagrantProvider *provider = g_ptr_array_index(told, i);
        if (provider->architecture == NULL && provider->url == NULL) {
            g_autofree char *name = g_uri_escape_string(provider->name, NULL, FALSE);
            if (!add_architectures(pages, at, name, version->providers, error)) {
                return FALSE;
            }
        }
    }
    for (; told->len > 0;) {
        VagrantProvider *provider = g_ptr_array_steal_index(told, 0);
        if (provider->architecture == NULL && provider->url == NULL) {
            vagrant_provider_free(provider);
        } else {
            g_ptr_array_add(version->providers, provider);
        }
    }
    return TRUE;
}

gboolean box_pages_complete(const char *url, VagrantBox *box, BoxGet get, gpointer site, GError **error)
{
    const BoxPages pages = {get, site, take_versions, box->versions};
    g_autofree char *list = g_strconcat(url, "/versions", NULL);
    if (box->versions->len == 0 && !box_pages(&pages, list, NULL, error)) {
        return FALSE;
    }
    for (guint i = 0; i < box->versions->len; i++) {
        if (!complete_version(&pages, url, g_ptr_array_index(box->versions, i), error)) {
            return FALSE;
        }
    }
    return TRUE;
}

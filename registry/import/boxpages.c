#include "import/boxpages.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"

#define PAGE 100 /* entries that are asked for at once */

/* Takes what has come off what may. */
static gboolean room_take(gsize *room, gsize size, const char *name, GError **error)
{
    if (size > *room) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "%s: a box has at most %u MiB, and %u versions and providers, in all its lists", name,
                    VAGRANT_CATALOGUE_MAX >> 20, VAGRANT_CATALOGUE_VALUES);
        return FALSE;
    }
    *room -= size;
    return TRUE;
}

static GBytes *get_document(const BoxPages *pages, const char *url, const char *name, GError **error)
{
    g_autofree char *at = NULL;
    g_autoptr(GBytes) bytes = pages->get(url, VAGRANT_CATALOGUE_MAX, &at, pages->site, error);
    gboolean ok =
        bytes != NULL && (pages->room == NULL || room_take(&pages->room->bytes, g_bytes_get_size(bytes), name, error));
    return ok ? g_steal_pointer(&bytes) : NULL;
}

static VagrantPage *get_page(const BoxPages *pages, const char *url, const char *org, GError **error)
{
    g_autofree char *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = get_document(pages, url, name, error);
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

/* Where what the pages have goes. */
typedef struct {
    GPtrArray *to;
    BoxRoom *room;
    const char *name; /* of the list */
} Taking;

static gboolean move_all(GPtrArray *from, const Taking *taking, GError **error)
{
    if (!room_take(&taking->room->entries, from->len, taking->name, error)) {
        return FALSE;
    }
    g_ptr_array_extend_and_steal(taking->to, g_ptr_array_ref(from));
    return TRUE;
}

static gboolean take_versions(VagrantPage *page, gpointer user, GError **error)
{
    const Taking *taking = user;
    gsize providers = 0;
    for (guint i = 0; i < page->versions->len; i++) {
        providers += ((const VagrantVersion *)g_ptr_array_index(page->versions, i))->providers->len;
    }
    return room_take(&taking->room->entries, providers, taking->name, error) && move_all(page->versions, taking, error);
}

static gboolean take_providers(VagrantPage *page, gpointer user, GError **error)
{
    return move_all(page->providers, user, error);
}

/* A provider whose architectures are a document of their own: as if they stood in it. */
static gboolean add_architectures(const BoxPages *pages, const char *version_url, const char *provider, GPtrArray *to,
                                  GError **error)
{
    g_autofree char *url = g_strdup_printf("%s/provider/%s/architectures", version_url, provider);
    g_autofree char *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = get_document(pages, url, name, error);
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
    Taking taking = {to, pages->room, name};
    return page != NULL && take_providers(page, &taking, error);
}

static gboolean complete_version(const BoxPages *pages, const char *url, VagrantVersion *version, GError **error)
{
    g_autofree char *escaped = g_uri_escape_string(version->version, NULL, FALSE);
    g_autofree char *at = g_strdup_printf("%s/version/%s", url, escaped);
    g_autofree char *list = g_strconcat(at, "/providers", NULL);
    g_autofree char *shown = ingot_text_url(list);
    Taking taking = {version->providers, pages->room, shown};
    BoxPages providers = *pages;
    providers.take = take_providers;
    providers.user = &taking;
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
    BoxRoom room = {VAGRANT_CATALOGUE_MAX, VAGRANT_CATALOGUE_VALUES};
    g_autofree char *list = g_strconcat(url, "/versions", NULL), *name = ingot_text_url(list);
    Taking taking = {box->versions, &room, name};
    const BoxPages pages = {get, site, take_versions, &taking, &room};
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

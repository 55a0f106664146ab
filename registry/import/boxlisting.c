#include "import/boxlisting.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "import/siteforms.h"

#define NAMES_MAX (16u << 20) /* bytes of all names of a list, with what each takes besides */
#define NAME_BESIDES 64u      /* bytes, about */
#define PAGE 100              /* boxes of a search that are asked for at once: as many as Vagrant Cloud gives */

/* The names in their order, each once, in whatever letter case it comes. */
typedef struct {
    GPtrArray *names;
    GHashTable *seen;
    gsize bytes;
} Names;

static void names_begin(Names *names)
{
    names->names = g_ptr_array_new_with_free_func(g_free);
    names->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    names->bytes = 0;
}

/* One that can't be a box's is passed over. LIMIT: there are too many. */
static gboolean names_add(Names *names, const char *name, GError **error)
{
    if (!site_name_check(name) || !g_hash_table_add(names->seen, g_ascii_strdown(name, -1))) {
        return TRUE;
    }
    names->bytes += strlen(name) + NAME_BESIDES;
    if (names->bytes > NAMES_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                    "more boxes are listed than %u MiB of names: name them, as ORG/BOX", NAMES_MAX >> 20);
        return FALSE;
    }
    g_ptr_array_add(names->names, g_strdup(name));
    return TRUE;
}

static char **names_end(Names *names, gboolean ok)
{
    g_hash_table_unref(names->seen);
    if (!ok) {
        g_ptr_array_unref(names->names);
        return NULL;
    }
    g_ptr_array_add(names->names, NULL);
    return (char **)g_ptr_array_free(names->names, FALSE);
}

static gboolean take_boxes(VagrantPage *page, gpointer user, GError **error)
{
    gboolean ok = TRUE;
    for (guint i = 0; ok && i < page->boxes->len; i++) {
        ok = names_add(user, ((const VagrantBox *)g_ptr_array_index(page->boxes, i))->name, error);
    }
    return ok;
}

/* --- sites --- */

static gboolean get_list(Names *names, const char *url, const char *org, BoxGet get, gpointer site, guint *count,
                         GError **error)
{
    g_autofree char *at = NULL, *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = get(url, VAGRANT_CATALOGUE_MAX, &at, site, error);
    g_autoptr(VagrantPage) page =
        bytes == NULL ? NULL
                      : vagrant_page_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), org, name, error);
    *count = page == NULL ? 0 : page->boxes->len;
    return page != NULL && take_boxes(page, names, error);
}

/* Boxes that come or go meanwhile shift the pages: the oldest come first, so that what is new stands behind. */
static gboolean search(Names *names, const char *base, const char *api, BoxGet get, gpointer site, GError **error)
{
    for (guint page = 1; page <= BOX_PAGES_MAX; page++) {
        g_autofree char *url =
            g_strdup_printf("%s/api/%s/search?sort=created&order=asc&limit=%d&page=%u", base, api, PAGE, page);
        guint before = names->names->len, count;
        if (!get_list(names, url, NULL, get, site, &count, error)) {
            return FALSE;
        }
        if (count == 0 || names->names->len == before) {
            return TRUE;
        }
    }
    g_autofree char *name = ingot_text_url(base);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                "%s: a search has more than %u pages: name boxes, as ORG/BOX or ORG/*", name, BOX_PAGES_MAX);
    return FALSE;
}

static gboolean of_user(Names *names, const char *base, const char *api, const char *org, BoxGet get, gpointer site,
                        GError **error)
{
    guint count;
    g_autofree char *url = g_strdup_printf("%s/api/%s/user/%s", base, api, org);
    return get_list(names, url, org, get, site, &count, error);
}

static gboolean of_registry(Names *names, const char *base, const char *org, BoxGet get, gpointer site, GError **error)
{
    const BoxPages pages = {get, site, take_boxes, names, NULL};
    g_autofree char *url = g_strconcat(base, SITE_HCP_PATH, org, "/boxes", NULL);
    return box_pages(&pages, url, org, error);
}

/* The first of the ways that the site has. */
static gboolean find_way(Names *names, const char *base, const char *org, BoxGet get, gpointer site, GError **error)
{
    static const char *const apis[] = {"v2", "v1", NULL};
    for (guint i = 0; i < G_N_ELEMENTS(apis); i++) {
        g_autoptr(GError) problem = NULL;
        gboolean ok = org == NULL && apis[i] == NULL ? FALSE
                      : org == NULL                  ? search(names, base, apis[i], get, site, &problem)
                      : apis[i] == NULL              ? of_registry(names, base, org, get, site, &problem)
                                                     : of_user(names, base, apis[i], org, get, site, &problem);
        if (ok) {
            return TRUE;
        }
        if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) &&
            !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
    }
    g_autofree char *name = ingot_text_url(base);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                org == NULL ? "%s: it cannot be searched: name its boxes, as ORG/BOX or ORG/*%s"
                            : "%s: it does not list the boxes of %s: name them, as ORG/BOX",
                name, org == NULL ? "" : org);
    return FALSE;
}

char **box_listing_of_site(const char *base, const char *org, BoxGet get, gpointer site, GError **error)
{
    Names names;
    names_begin(&names);
    return names_end(&names, find_way(&names, base, org, get, site, error));
}

/* --- folders --- */

static gint by_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files of a folder: ORG/BOX or ORG/BOX.json. What else lies there is no catalogue: a file of boxes, say. */
static gboolean add_folder(Names *names, const char *folder, const char *org, GError **error)
{
    g_autofree char *path = g_build_filename(folder, org, NULL);
    g_autoptr(GDir) opened = g_dir_open(path, 0, NULL);
    if (opened == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: there is no such folder", path);
        return FALSE;
    }
    gboolean ok = TRUE;
    for (const char *file; ok && (file = g_dir_read_name(opened)) != NULL;) {
        g_autofree char *full = g_build_filename(path, file, NULL);
        gboolean has_ending = g_str_has_suffix(file, ".json");
        if (g_file_test(full, G_FILE_TEST_IS_REGULAR) && (has_ending || strchr(file, '.') == NULL)) {
            g_autofree char *plain = g_strndup(file, strlen(file) - (has_ending ? strlen(".json") : 0));
            g_autofree char *name = g_strconcat(org, "/", plain, NULL);
            ok = names_add(names, name, error);
        }
    }
    return ok;
}

static gboolean add_folders(Names *names, const char *folder, GError **error)
{
    g_autoptr(GDir) opened = g_dir_open(folder, 0, NULL);
    gboolean ok = TRUE;
    for (const char *org; ok && opened != NULL && (org = g_dir_read_name(opened)) != NULL;) {
        g_autofree char *path = g_build_filename(folder, org, NULL);
        ok = *org == '.' || !g_file_test(path, G_FILE_TEST_IS_DIR) || add_folder(names, folder, org, error);
    }
    return ok;
}

char **box_listing_of_folder(const char *folder, const char *org, GError **error)
{
    Names names;
    names_begin(&names);
    gboolean ok = org != NULL ? add_folder(&names, folder, org, error) : add_folders(&names, folder, error);
    g_ptr_array_sort(names.names, by_text);
    return names_end(&names, ok);
}

#include "server/boxes/boxsearch.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/server.h"

#define LIMIT 10u       /* results of a page, unless the client says how many */
#define LIMIT_MAX 100u  /* as Vagrant Cloud has it */
#define BOXES_MAX 1000u /* that a search looks at, or a user has */

/* What is searched for. */
typedef struct {
    const char *words, *provider, *architecture; /* NULL: any */
    enum { SORT_NAME, SORT_CREATED, SORT_UPDATED } sort;
    gboolean ascending;
    guint limit, page;
} Search;

/* A result: no more of a box than its place among the others needs. */
typedef struct {
    char *name;
    gint64 created, updated;
} Found;

static void found_free(gpointer data)
{
    Found *found = data;
    g_free(found->name);
    g_free(found);
}

/* --- the boxes --- */

/* Those of the names that the caller may pull. Free it. */
static char **visible_names(Request *request, gboolean (*fits)(const char *name, const char *what), const char *what,
                            GError **error)
{
    g_autoptr(GStrvBuilder) seen = g_strv_builder_new();
    g_auto(GStrv) names = storage_repositories(request->server->storage, error);
    g_auto(GStrv) recorded = names == NULL ? NULL : storage_record_names(request->server->storage, BOX_RECORD, error);
    if (recorded == NULL) {
        return NULL;
    }
    g_autoptr(GHashTable) all = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; names[i] != NULL; i++) {
        g_hash_table_add(all, names[i]);
    }
    for (guint i = 0; recorded[i] != NULL; i++) {
        g_hash_table_add(all, recorded[i]);
    }
    g_autoptr(GList) sorted = g_list_sort(g_hash_table_get_keys(all), (GCompareFunc)strcmp);
    guint count = 0;
    for (const GList *link = sorted; link != NULL && count < BOXES_MAX; link = link->next) {
        if (fits(link->data, what) && access_may(request, ACCESS_PULL, link->data)) {
            g_strv_builder_add(seen, link->data);
            count++;
        }
    }
    return g_strv_builder_end(seen);
}

/* NULL: it is no box, or can't be read now. */
static BoxList *find_box(Request *request, const BoxCall *call, const char *name)
{
    g_autoptr(BoxList) list = boxlists_get(request, name, call->base, 0, NULL);
    return list != NULL && (list->box->versions->len > 0 || list->is_recorded) ? g_steal_pointer(&list) : NULL;
}

static BoxJson json_of(const Request *request, const BoxCall *call, const char *name)
{
    return (BoxJson){.base = call->base, .from = call->from, .drafts = access_may(request, ACCESS_PUSH, name)};
}

/* --- a user --- */

static gboolean is_of_org(const char *name, const char *org)
{
    gsize length = strlen(org);
    return strncmp(name, org, length) == 0 && name[length] == '/' && strchr(name + length + 1, '/') == NULL;
}

json_t *box_list_org(Request *request, const BoxCall *call, const char *org,
                     json_t *(*write)(const BoxJson *by, const VagrantBox *box), GError **error)
{
    g_autofree char *folded = g_ascii_strdown(org, -1);
    g_auto(GStrv) names = visible_names(request, is_of_org, folded, error);
    json_t *boxes = names == NULL ? NULL : json_array();
    for (guint i = 0; names != NULL && names[i] != NULL && !request_gone(request); i++) {
        const BoxJson by = json_of(request, call, names[i]);
        g_autoptr(BoxList) list = find_box(request, call, names[i]);
        if (list != NULL) {
            json_array_append_new(boxes, write(&by, list->box));
        }
    }
    return boxes;
}

enum MHD_Result box_tell_user(Request *request, const BoxCall *call, const char *org)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) boxes = box_list_org(request, call, org, box_json_brief, &error);
    if (boxes == NULL) {
        return box_fail(request, error);
    }
    g_autoptr(json_t) body = ingot_json_pack("{s:o, s:O}", "username", ingot_json_text(org), "boxes", boxes);
    return box_answer(request, body);
}

/* --- a search --- */

static gboolean read_number(const char *text, guint64 most, guint *number)
{
    guint64 value;
    if (text == NULL || *text == '\0') {
        return TRUE;
    }
    if (!g_ascii_string_to_unsigned(text, 10, 1, most, &value, NULL)) {
        return FALSE;
    }
    *number = (guint)value;
    return TRUE;
}

static const char *query_text(const Request *request, const char *key)
{
    const char *text = request_query(request, key);
    return text == NULL || *text == '\0' ? NULL : text;
}

/* FALSE: *wrong is the parameter that is none. */
static gboolean read_search(const Request *request, Search *search, const char **wrong)
{
    const char *sort = query_text(request, "sort"), *order = query_text(request, "order");
    *search = (Search){.words = query_text(request, "q"),
                       .provider = query_text(request, "provider"),
                       .architecture = query_text(request, "architecture"),
                       .limit = LIMIT,
                       .page = 1};
    search->sort = g_strcmp0(sort, "created") == 0   ? SORT_CREATED
                   : g_strcmp0(sort, "updated") == 0 ? SORT_UPDATED
                                                     : SORT_NAME;
    /* Downloads are not counted here: by name, from the first, as when nothing is said. */
    search->ascending = search->sort == SORT_NAME || g_strcmp0(order, "asc") == 0;
    *wrong = sort != NULL && search->sort == SORT_NAME && strcmp(sort, "downloads") != 0 ? "sort"
             : order != NULL && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0  ? "order"
             : !read_number(request_query(request, "limit"), LIMIT_MAX, &search->limit)  ? "limit"
             : !read_number(request_query(request, "page"), G_MAXINT32, &search->page)   ? "page"
                                                                                         : NULL;
    return *wrong == NULL;
}

static gboolean has_text(const char *text, const char *words)
{
    g_autofree char *in = g_utf8_casefold(text == NULL ? "" : text, -1), *what = g_utf8_casefold(words, -1);
    return strstr(in, what) != NULL;
}

static gboolean has_provider(const VagrantVersion *version, const Search *search)
{
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *provider = g_ptr_array_index(version->providers, i);
        if ((search->provider == NULL || strcmp(provider->name, search->provider) == 0) &&
            (search->architecture == NULL || g_strcmp0(provider->architecture, search->architecture) == 0)) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean is_found(const VagrantBox *box, const Search *search)
{
    const VagrantVersion *newest = box_newest(box);
    return newest != NULL && has_provider(newest, search) &&
           (search->words == NULL || has_text(box->name, search->words) ||
            has_text(box->short_description, search->words));
}

static gint64 created_of(const VagrantBox *box)
{
    const VagrantVersion *oldest = g_ptr_array_index(box->versions, box->versions->len - 1);
    return box->created > 0 ? box->created : oldest->created;
}

static Found *found_new(const char *name, const VagrantBox *box)
{
    Found *found = g_new0(Found, 1);
    *found = (Found){.name = g_strdup(name), .created = created_of(box), .updated = box_newest(box)->updated};
    return found;
}

static int found_compare(gconstpointer a, gconstpointer b, gpointer user)
{
    const Search *search = user;
    const Found *one = *(Found *const *)a, *two = *(Found *const *)b;
    gint64 x = search->sort == SORT_CREATED ? one->created : one->updated;
    gint64 y = search->sort == SORT_CREATED ? two->created : two->updated;
    int order = search->sort == SORT_NAME ? 0 : (x > y) - (x < y);
    return order == 0 ? strcmp(one->name, two->name) : search->ascending ? order : -order;
}

static gboolean fits_any(const char *name, const char *what)
{
    (void)name, (void)what;
    return TRUE;
}

static GPtrArray *find_all(Request *request, const BoxCall *call, Search *search, GError **error)
{
    g_auto(GStrv) names = visible_names(request, fits_any, NULL, error);
    GPtrArray *found = names == NULL ? NULL : g_ptr_array_new_with_free_func(found_free);
    for (guint i = 0; names != NULL && names[i] != NULL && !request_gone(request); i++) {
        g_autoptr(BoxList) list = find_box(request, call, names[i]);
        if (list != NULL && is_found(list->box, search)) {
            g_ptr_array_add(found, found_new(names[i], list->box));
        }
    }
    if (found != NULL) {
        g_ptr_array_sort_with_data(found, found_compare, search);
    }
    return found;
}

enum MHD_Result box_search(Request *request, const BoxCall *call)
{
    Search search;
    const char *wrong;
    g_autoptr(GError) error = NULL;
    if (!read_search(request, &search, &wrong)) {
        return box_refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
                          "%s: sort is downloads, created or updated, order asc or desc, limit 1 to %u, page from 1",
                          wrong, LIMIT_MAX);
    }
    g_autoptr(GPtrArray) found = find_all(request, call, &search, &error);
    if (found == NULL) {
        return box_fail(request, error);
    }
    g_autoptr(json_t) boxes = json_array();
    guint64 first = (guint64)(search.page - 1) * search.limit;
    const BoxJson by = {.base = call->base, .from = call->from};
    for (guint64 i = first; i < MIN(first + search.limit, found->len); i++) {
        g_autoptr(BoxList) list = find_box(request, call, ((const Found *)g_ptr_array_index(found, (guint)i))->name);
        if (list != NULL) { /* it has not gone since */
            json_array_append_new(boxes, box_json_brief(&by, list->box));
        }
    }
    g_autoptr(json_t) body = ingot_json_pack("{s:O}", "boxes", boxes);
    return box_answer(request, body);
}

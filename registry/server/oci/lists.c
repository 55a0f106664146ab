/* Lists: repositories and tags, by pages: n, last, and a Link to the next. */
#include <ingot/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/oci/api.h"
#include "server/server.h"

/* The order of distribution-spec ("Listing Tags"): letter case decides only between what is else the same. */
static int compare(const char *a, const char *b)
{
    int order = g_ascii_strcasecmp(a, b);
    return order != 0 ? order : strcmp(a, b);
}

static int by_name(const void *a, const void *b)
{
    return compare(*(char *const *)a, *(char *const *)b);
}

/* The link to the page behind a name. */
static char *next_page(const Request *request, guint64 most, const char *last)
{
    g_autofree char *from = g_uri_escape_string(last, NULL, FALSE);
    return g_strdup_printf("<%s?n=%" G_GUINT64_FORMAT "&last=%s>; rel=\"next\"", request->path, most, from);
}

/* The part of a sorted list that was asked for; *link (free it) leads to the next, where there is one. */
static json_t *page(Request *request, char **all, guint64 most, char **link)
{
    const char *last = request_query(request, "last");
    json_t *list = json_array();
    guint i = 0;
    while (last != NULL && all[i] != NULL && compare(all[i], last) <= 0) {
        i++;
    }
    for (; all[i] != NULL && json_array_size(list) < most; i++) {
        json_array_append_new(list, json_string(all[i]));
    }
    if (all[i] != NULL && json_array_size(list) > 0) {
        *link = next_page(request, most, all[i - 1]);
    }
    return list;
}

static GBytes *list_bytes(const json_t *body)
{
    char *text = ingot_json_canonical(body);
    return g_bytes_new_take(text, strlen(text));
}

static enum MHD_Result answer_list(Request *request, json_t *body, const char *key, json_t *list, const char *link)
{
    json_object_set_new(body, key, list);
    g_autoptr(GBytes) bytes = list_bytes(body);
    return request_answer_bytes(request, MHD_HTTP_OK, "application/json", bytes, "Link", link, NULL);
}

/* How many names were asked for; answers itself where that is no number. */
static gboolean read_most(Request *request, guint64 *most, enum MHD_Result *result)
{
    const char *n = request_query(request, "n");
    *most = G_MAXUINT64;
    if (n == NULL || g_ascii_string_to_unsigned(n, 10, 0, G_MAXUINT64, most, NULL)) {
        return TRUE;
    }
    *result = request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "n is no number");
    return FALSE;
}

/* Puts the names that were asked for into the body. */
static enum MHD_Result answer_page(Request *request, json_t *body, const char *key, char **all)
{
    enum MHD_Result result = MHD_YES;
    guint64 most;
    if (!read_most(request, &most, &result)) {
        return result;
    }
    g_autofree char *link = NULL;
    qsort(all, g_strv_length(all), sizeof *all, by_name);
    json_t *list = page(request, all, most, &link);
    return answer_list(request, body, key, list, link);
}

/* Our own tags alone: no more are read than were asked for, and one that says whether there are others. */
static enum MHD_Result answer_tags(Request *request, const char *name, guint64 most)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *link = NULL;
    guint count = (guint)MIN(most, G_MAXUINT - 1);
    g_autoptr(GArray) versions =
        storage_versions(request->server->storage, name, request_query(request, "last"), count + 1, &error);
    if (versions == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    json_t *list = json_array();
    for (guint i = 0; i < versions->len && i < count; i++) {
        json_array_append_new(list, json_string(g_array_index(versions, StorageVersion, i).tag));
    }
    if (versions->len > count && count > 0) {
        link = next_page(request, most, g_array_index(versions, StorageVersion, count - 1).tag);
    }
    g_autoptr(json_t) body = json_pack("{s:s}", "name", name);
    return answer_list(request, body, "tags", list, link);
}

enum MHD_Result api_tags(Request *request, const ApiRoute *route)
{
    g_autoptr(GError) error = NULL;
    FetchOutcome outcome;
    enum MHD_Result result = MHD_YES;
    guint64 most;
    if (request->server->through == NULL) {
        return read_most(request, &most, &result) ? answer_tags(request, route->name, most) : result;
    }
    g_auto(GStrv) tags = through_tags(request->server->through, route->name,
                                      storage_tags(request->server->storage, route->name, &error), &outcome);
    if (tags == NULL) {
        return api_fail_there(request, outcome, "NAME_UNKNOWN", error);
    }
    g_autoptr(json_t) body = json_pack("{s:s}", "name", route->name);
    return answer_page(request, body, "tags", tags);
}

/* Takes out what the caller may not pull. */
static void keep_allowed(const Request *request, char **names)
{
    guint kept = 0;
    for (guint i = 0; names[i] != NULL; i++) {
        if (access_lists(request, names[i])) {
            names[kept++] = names[i];
        } else {
            g_free(names[i]);
        }
    }
    names[kept] = NULL;
}

enum MHD_Result api_catalog(Request *request, const ApiRoute *route)
{
    (void)route;
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) names = storage_repositories(request->server->storage, &error);
    if (names == NULL) {
        return request_fail(request, "NAME_UNKNOWN", error);
    }
    FetchOutcome outcome;
    names = through_names(request->server->through, names, &outcome);
    if (names[0] == NULL && through_is_open(outcome)) {
        return request_refuse_busy(request, through_reason(outcome));
    }
    keep_allowed(request, names);
    g_autoptr(json_t) body = json_object();
    return answer_page(request, body, "repositories", names);
}

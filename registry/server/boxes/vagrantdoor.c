#include "server/boxes/vagrantdoor.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/boxes/boxes.h"
#include "server/boxes/boxlist.h"
#include "server/mirror/wholes.h"
#include "server/views/pass.h"
#include "server/views/patience.h"

#define FETCHING                                                                                                       \
    (20 * G_TIME_SPAN_SECOND) /* for versions that are new to a pull-through cache; others come the next time */

/* What a request asks for, and what was found for it. */
typedef struct {
    BoxSource *source;
    char *base;    /* the server as the client calls it */
    BoxList *list; /* that is kept; NULL: it is to be made */
} Asked;

static void asked_free(gpointer data)
{
    Asked *asked = data;
    g_clear_pointer(&asked->source, box_source_free);
    g_clear_pointer(&asked->list, boxlist_unref);
    g_free(asked->base);
    g_free(asked);
}

/* --- the text --- */

/* Whether Vagrant would leave at the door of the boxes: name and password of a URL, or a token in it, are shown for
 * that URL alone. */
static gboolean needs_passes(const Request *request)
{
    const char *shown = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    gboolean by_url = shown == NULL || g_ascii_strncasecmp(shown, "Basic ", strlen("Basic ")) == 0;
    return by_url && access_is_somebody(request) && !access_may_all(request) &&
           !access_may_anybody(request, ACCESS_PULL);
}

typedef struct {
    const Request *request;
    const char *base;
} Passes;

static char *url_with_pass(const VagrantProvider *provider, gpointer user)
{
    const Passes *passes = user;
    if (!g_str_has_prefix(provider->url, BOX_FORMATS)) {
        return g_strdup(provider->url);
    }
    g_autofree char *pass = pass_write(passes->request, provider->url);
    return g_strconcat(passes->base, provider->url, "?" PASS "=", pass, NULL);
}

static enum MHD_Result answer_with_passes(Request *request, const Asked *asked, const BoxList *list)
{
    Passes passes = {.request = request, .base = asked->base};
    g_autoptr(json_t) body = vagrant_box_json(list->box, url_with_pass, &passes);
    g_autofree char *text = ingot_json_pretty(body);
    return request_answer(request, MHD_HTTP_OK, "application/json", text, strlen(text), "Cache-Control",
                          access_keep_asking(request), NULL);
}

static enum MHD_Result answer_kept(Request *request, const BoxList *list)
{
    const char *keep = access_keep_asking(request);
    return request_has_already(request, list->tag)
               ? request_answer(request, MHD_HTTP_NOT_MODIFIED, NULL, NULL, 0, "Cache-Control", keep, "ETag", list->tag,
                                NULL)
               : request_answer_bytes(request, MHD_HTTP_OK, "application/json", list->text, "Cache-Control", keep,
                                      "ETag", list->tag, NULL);
}

static enum MHD_Result answer_list(Request *request, const Asked *asked, const BoxList *list)
{
    return needs_passes(request) ? answer_with_passes(request, asked, list) : answer_kept(request, list);
}

/* --- the request --- */

static enum MHD_Result vagrant_quick(Request *request, const RouteMatch *match)
{
    const Asked *asked = request->kept;
    (void)match;
    g_autoptr(BoxList) list = request->server->through != NULL || needs_passes(request)
                                  ? NULL
                                  : boxlists_find(request->server, asked->source->shown, asked->base, FALSE);
    return list == NULL ? MHD_YES : answer_kept(request, list);
}

static enum MHD_Result vagrant_answer(Request *request, const RouteMatch *match)
{
    const Asked *asked = request->kept;
    (void)match;
    if (asked->list != NULL) {
        return answer_list(request, asked, asked->list);
    }
    warm_list(request->server->warm, asked->source->name);
    g_autoptr(BoxList) list = boxlist_make(request, asked->source, patience_end());
    if (list == NULL) {
        return MHD_NO;
    }
    if (list->is_busy) {
        return request_refuse_busy(request, "the images that are being read fill the memory; try again");
    }
    if (list->box->versions->len == 0 && through_is_open(asked->source->outcome)) {
        return request_refuse_busy(request, through_reason(asked->source->outcome));
    }
    boxlists_keep(request->server, asked->source->shown, asked->base, list);
    return answer_list(request, asked, list);
}

/* What describes the versions that are new here, as far as that comes soon. */
static void fetch_descriptions(Request *request, BoxSource *source)
{
    gint64 end = g_get_monotonic_time() + FETCHING;
    for (guint i = 0; i < source->versions->len && g_get_monotonic_time() < end && !request_gone(request); i++) {
        FetchOutcome one = through_description(request->server->through, request->server->storage, source->name,
                                               g_array_index(source->versions, ListedVersion, i).tag);
        source->outcome = through_is_open(one) ? one : source->outcome;
    }
}

/* Looks up what there is, and fetches what tells about it; the answer, which may read many images, is worked out
 * elsewhere. */
static void look(Request *request, BoxSource *source)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = box_source_look(request->server, source, &error);
    gboolean open = through_is_open(source->outcome);
    if (open && (ok ? source->versions->len == 0 : g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND))) {
        request_refuse_busy(request, through_reason(source->outcome));
    } else if (!ok) {
        request_fail(request, "NAME_UNKNOWN", error);
    } else if (source->outcome == FETCH_DONE) {
        source->there = TRUE;
        fetch_descriptions(request, source);
    }
}

static Pool vagrant_move(Request *request, const RouteMatch *match)
{
    Asked *asked = request->kept;
    (void)match;
    if (request->server->through == NULL) {
        asked->list = boxlists_find(request->server, asked->source->shown, asked->base, TRUE);
    }
    if (asked->list != NULL) {
        return POOL_READ;
    }
    look(request, asked->source);
    return POOL_SLOW;
}

static enum MHD_Result vagrant_check(Request *request, const RouteMatch *match)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *both =
        match->name == NULL ? g_strdup(match->reference) : g_strconcat(match->name, "/", match->reference, NULL);
    if (match->name != NULL && strchr(match->name, '/') != NULL) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "UNSUPPORTED", "no such endpoint");
    }
    Asked *asked = g_new0(Asked, 1);
    request_keep(request, asked, asked_free);
    asked->source = box_source_new(both, &error);
    asked->base = access_base(request);
    if (asked->source == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
    }
    if (asked->base == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "a Host header is expected");
    }
    return access_may(request, ACCESS_PULL, asked->source->name)
               ? MHD_YES
               : access_refuse(request, asked->source->name, ACCESS_PULL);
}

static Pool choose_pool(const Request *request, const RouteMatch *match)
{
    (void)match;
    return request->server->through != NULL ? POOL_UPSTREAM : POOL_READ;
}

#define READS                                                                                                          \
    .methods = "GET, HEAD", .name = "vagrant", .vagrant = TRUE, .check = vagrant_check, .quick = vagrant_quick,        \
    .choose = choose_pool, .move = vagrant_move, .answer = vagrant_answer
const Route vagrant_routes[] = {
    {READS, .pattern = "/vagrant/*"},
    {READS, .pattern = "/api/v2/vagrant/*"},
    {0},
};

const Route vagrant_last_routes[] = {
    {READS, .pattern = "/{name}/{reference}", .fallback = TRUE},
    {0},
};

#include "server/views/vagrant.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/mirror/wholes.h"
#include "server/server.h"
#include "server/storage/storage.h"
#include "server/views/pass.h"
#include "server/views/patience.h"
#include "server/views/versions.h"
#include "server/views/view.h"
#include "vagrant/providers.h"

#define FETCHING                                                                                                       \
    (20 * G_TIME_SPAN_SECOND) /* for versions that are new to a pull-through cache; others come the next time */

/* What a catalogue lists. */
typedef struct {
    char *name;
    const char *channel;  /* NULL: all versions are meant */
    GArray *versions;     /* of ListedVersion */
    gboolean there;       /* an upstream has what is not here */
    FetchOutcome outcome; /* of what was asked of it, the worst */
} Listed;

/* What a catalogue is made for. */
typedef struct {
    Request *request;
    const char *base, *name;
    gint64 until;   /* monotonic: it waits for sums that are not known yet */
    gboolean busy;  /* an image can't be had now */
    gboolean there; /* as in Listed */
} Listing;

static void listed_free(gpointer data)
{
    Listed *listed = data;
    g_free(listed->name);
    g_clear_pointer(&listed->versions, g_array_unref);
    g_free(listed);
}

/* With a pass for whom Vagrant would leave at the door: name and password of a URL are shown for that URL alone. */
static char *box_url(const Listing *listing, const char *reference, guint box)
{
    const Request *request = listing->request;
    const char *shown = request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    g_autofree char *path = g_strdup_printf("/formats/%s/%s/%s/%s", listing->name, reference, vagrant_forms[box].format,
                                            vagrant_forms[box].file);
    if (shown == NULL || g_ascii_strncasecmp(shown, "Basic ", strlen("Basic ")) != 0 ||
        access_may_anybody(request, ACCESS_PULL)) {
        return g_strconcat(listing->base, path, NULL);
    }
    g_autofree char *pass = pass_write(request, path);
    return g_strconcat(listing->base, path, "?" PASS "=", pass, NULL);
}

static gboolean find_sum(const Listing *listing, const char *reference, guint box, IngotDigest *sum, GError **error)
{
    g_autoptr(View) view = views_open(listing->request->server->views, listing->name, reference,
                                      vagrant_forms[box].format, vagrant_forms[box].file, error);
    return view != NULL && view_digest(view, sum, error);
}

/* A sum that is not known is asked for; the box is listed without it until it is, and while the image's disk is at the
 * upstream alone. FALSE: it can't be made. */
static gboolean add_sum(const Listing *listing, const char *reference, guint box, json_t *provider)
{
    IngotDigest sum;
    g_autoptr(GError) error = NULL;
    gboolean known = find_sum(listing, reference, box, &sum, &error);
    if (!known && g_error_matches(error, VIEW_ERROR, VIEW_ERROR_UNMEASURED)) {
        const WarmWish wish = {.name = listing->name,
                               .reference = reference,
                               .format = vagrant_forms[box].format,
                               .sums = TRUE,
                               .listed = TRUE};
        WarmAnswer answer = patience_wait(listing->request, &wish, listing->until, NULL);
        if (answer == WARM_LATER) {
            return TRUE;
        }
        known = answer == WARM_READY && find_sum(listing, reference, box, &sum, NULL);
    }
    if (!known && listing->there && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return TRUE;
    }
    if (known) {
        char hex[INGOT_DIGEST_TEXT_SIZE];
        ingot_digest_write_text(&sum, hex);
        json_object_set_new(provider, "checksum_type", json_string("sha256"));
        json_object_set_new(provider, "checksum", json_string(hex + strlen("sha256:")));
    }
    return known;
}

static json_t *describe_provider(Listing *listing, const IngotDigest *image, guint box)
{
    g_autofree char *reference = ingot_digest_to_text(image);
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) config = views_config_meant(listing->request->server->views, listing->name, reference,
                                                  vagrant_forms[box].format, &error);
    listing->busy = listing->busy || g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY);
    if (config == NULL) {
        return NULL;
    }
    g_autofree char *url = box_url(listing, reference, box);
    const char *architecture = json_string_value(json_object_get(config, "architecture"));
    /* The default is what a machine of another architecture takes too: only what most machines can run. */
    gboolean is_default = architecture == NULL || strcmp(architecture, "amd64") == 0;
    g_autoptr(json_t) provider =
        json_pack("{s:s, s:s, s:s, s:b}", "name", vagrant_forms[box].provider, "url", url, "architecture",
                  architecture == NULL ? "unknown" : architecture, "default_architecture", (int)is_default);
    return add_sum(listing, reference, box, provider) ? g_steal_pointer(&provider) : NULL;
}

/* NULL: no provider can have it. */
static json_t *describe_version(Listing *listing, const ListedVersion *version)
{
    g_autoptr(json_t) providers = json_array();
    IngotDigest image = version->digest;
    /* What an upstream has may have come since. */
    if (listing->there ? !storage_find_tag(listing->request->server->storage, listing->name, version->tag, &image, NULL)
                       : !version->is_here) {
        return NULL;
    }
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        json_t *provider = describe_provider(listing, &image, i);
        if (provider != NULL) {
            json_array_append_new(providers, provider);
        }
    }
    return json_array_size(providers) == 0
               ? NULL
               : json_pack("{s:s, s:s, s:O}", "version", version->tag, "status", "active", "providers", providers);
}

/* Nothing is answered: the client has left. */
static json_t *describe_all(Listing *listing, const GArray *versions)
{
    g_autoptr(json_t) list = json_array();
    for (guint i = 0; i < versions->len; i++) {
        if (request_gone(listing->request)) {
            return NULL;
        }
        json_t *one = describe_version(listing, &g_array_index(versions, ListedVersion, i));
        if (one != NULL) {
            json_array_append_new(list, one);
        }
    }
    return g_steal_pointer(&list);
}

static enum MHD_Result vagrant_answer(Request *request, const RouteMatch *match)
{
    const Listed *listed = request->kept;
    g_autofree char *base = access_base(request);
    if (base == NULL) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "UNSUPPORTED", "a Host header is expected");
    }
    Listing listing = {
        .request = request, .base = base, .name = listed->name, .until = patience_end(), .there = listed->there};
    g_autoptr(json_t) list = describe_all(&listing, listed->versions);
    if (list == NULL) {
        return MHD_NO;
    }
    if (listing.busy) {
        return request_refuse_busy(request, "the images that are being read fill the memory; try again");
    }
    if (json_array_size(list) == 0 && through_is_open(listed->outcome)) {
        return request_refuse_busy(request, through_reason(listed->outcome));
    }
    g_autofree char *about = g_strdup_printf("%s, from an Ingot registry", match->reference);
    g_autoptr(json_t) body =
        json_pack("{s:s, s:s, s:O}", "name", match->reference, "description", about, "versions", list);
    g_autofree char *text = ingot_json_pretty(body);
    return request_answer(request, MHD_HTTP_OK, "application/json", text, strlen(text), "Cache-Control",
                          access_keep_asking(request), NULL);
}

/* What describes the versions that are new here, as far as that comes soon. */
static void fetch_descriptions(Request *request, Listed *listed)
{
    gint64 end = g_get_monotonic_time() + FETCHING;
    for (guint i = 0; i < listed->versions->len && g_get_monotonic_time() < end && !request_gone(request); i++) {
        FetchOutcome one = through_description(request->server->through, request->server->storage, listed->name,
                                               g_array_index(listed->versions, ListedVersion, i).tag);
        listed->outcome = through_is_open(one) ? one : listed->outcome;
    }
}

/* Looks up what there is, and fetches what tells about it; the answer, which may read many indexes, is worked out
 * elsewhere. */
static Pool vagrant_move(Request *request, const RouteMatch *match)
{
    Listed *listed = request->kept;
    g_autoptr(GError) error = NULL;
    (void)match;
    listed->versions = versions_list(request->server, listed->name, listed->channel, &listed->outcome, &error);
    gboolean open = through_is_open(listed->outcome);
    if (open && (listed->versions == NULL ? g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)
                                          : listed->versions->len == 0)) {
        request_refuse_busy(request, through_reason(listed->outcome));
    } else if (listed->versions == NULL) {
        request_fail(request, "NAME_UNKNOWN", error);
    } else if (listed->outcome == FETCH_DONE) {
        listed->there = TRUE;
        fetch_descriptions(request, listed);
    }
    return POOL_SLOW;
}

static enum MHD_Result vagrant_check(Request *request, const RouteMatch *match)
{
    const char *shown = match->reference, *at = strrchr(shown, '@');
    g_autofree char *name = g_strndup(shown, at == NULL ? strlen(shown) : (gsize)(at - shown));
    g_autoptr(GError) error = NULL;
    if (strcmp(shown, "authenticate") == 0) {
        return access_is_known(request) ? request_answer(request, MHD_HTTP_OK, "application/json", "{}", 2, NULL)
                                        : access_unauthorized(request, NULL, NULL, "log in first");
    }
    if (!ingot_name_check(name, &error) || (at != NULL && !ingot_tag_check(at + 1, &error))) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
    }
    if (!access_may(request, ACCESS_PULL, name)) {
        return access_refuse(request, name, ACCESS_PULL);
    }
    Listed *listed = g_new0(Listed, 1);
    listed->name = g_steal_pointer(&name);
    listed->channel = at == NULL ? NULL : at + 1;
    request_keep(request, listed, listed_free);
    return MHD_YES;
}

static Pool choose_pool(const Request *request, const RouteMatch *match)
{
    (void)match;
    return request->server->through != NULL ? POOL_UPSTREAM : POOL_SLOW;
}

#define READS .methods = "GET, HEAD", .choose = choose_pool, .move = vagrant_move, .check = vagrant_check
const Route vagrant_routes[] = {
    {READS, .pattern = "/vagrant/*", .name = "vagrant", .answer = vagrant_answer},
    {READS, .pattern = "/api/v2/vagrant/*", .name = "vagrant", .answer = vagrant_answer},
    {0},
};

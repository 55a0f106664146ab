#include "server/views/door.h"

#include <ingot/error.h>
#include <ingot/reference.h>
#include <string.h>

#include "base/json.h"
#include "server/auth/access.h"
#include "server/http/serve.h"
#include "server/mirror/wholes.h"
#include "server/server.h"
#include "server/views/entries.h"
#include "server/views/pass.h"
#include "server/views/patience.h"

#define COLD_LOOK (G_TIME_SPAN_SECOND / 4) /* between two looks for what comes from an upstream */
#define AT_ONCE 1                          /* microseconds */
#define SUM ".sha256"

/* "NAME/REFERENCE/FORMAT/FILE": a name has slashes too, the others have none. */
typedef struct {
    char *name, *reference;
    char *format, *file; /* NULL: the folder above is asked for */
    char *exact; /* the digest that is meant: of an image that comes from an upstream, or of one of those that an
                    index names; NULL: what the reference says */
} Place;

/* An error: nothing was answered. */
typedef enum MHD_Result (*PlaceAnswer)(Request *request, const Place *place, GError **error);

static void place_free(gpointer data)
{
    Place *place = data;
    g_free(place->name);
    g_free(place->reference);
    g_free(place->format);
    g_free(place->file);
    g_free(place->exact);
    g_free(place);
}

/* What the image is looked up by: a tag that moves while its image comes leaves the request with that image. */
static const char *place_image(const Place *place)
{
    return place->exact != NULL ? place->exact : place->reference;
}

/* A path that ends in a slash is a folder; without one, it is a file. */
static gboolean parse(const char *path, Place *place)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    guint count = g_strv_length(parts);
    gboolean folder = g_str_has_suffix(path, "/");
    if (count < 3) {
        return FALSE;
    }
    /* NAME… REFERENCE "" for an image's folder, NAME… REFERENCE FORMAT "" for a format's. */
    gboolean of_format = folder && count >= 4 && ingot_format_find(parts[count - 2], NULL) != NULL;
    guint behind = folder ? (of_format ? 3 : 2) : 3;
    if (count <= behind) {
        return FALSE;
    }
    place->format = of_format || !folder ? g_strdup(parts[count - 2]) : NULL;
    place->file = folder ? NULL : g_strdup(parts[count - 1]);
    place->reference = g_steal_pointer(&parts[count - behind]); /* the name is what stands before it */
    place->name = g_strjoinv("/", parts);
    for (guint i = count - behind + 1; i < count; i++) {
        g_free(parts[i]);
    }
    return TRUE;
}

static enum MHD_Result fail(Request *request, const GError *error)
{
    if (g_error_matches(error, VIEW_ERROR, VIEW_ERROR_BUSY)) {
        return request_refuse_busy(request, error->message);
    }
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_REFUSED)) {
        return request_refuse(request, MHD_HTTP_FORBIDDEN, "DENIED", error->message);
    }
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID)
               ? request_refuse(request, MHD_HTTP_NOT_FOUND, "UNSUPPORTED", error->message)
               : request_fail(request, "MANIFEST_UNKNOWN", error);
}

static enum MHD_Result answer_json(Request *request, const json_t *body)
{
    g_autofree char *text = ingot_json_pretty(body);
    return request_answer(request, MHD_HTTP_OK, "application/json", text, strlen(text), "Cache-Control",
                          access_keep_asking(request), NULL);
}

static json_t *describe_files(const GPtrArray *files)
{
    json_t *list = json_array();
    for (guint i = 0; i < files->len; i++) {
        const IngotFormatFile *file = g_ptr_array_index(files, i);
        json_array_append_new(
            list, json_pack("{s:s, s:I}", "name", file->name, "size", (json_int_t)ingot_layout_size(file->layout)));
    }
    return list;
}

/* The formats that the image can have. */
static enum MHD_Result list_formats(Request *request, const Place *place)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) formats = views_formats(request->server->views, place->name, place_image(place), &error);
    if (formats == NULL) {
        return fail(request, error);
    }
    g_autoptr(json_t) list = json_array();
    for (guint i = 0; i < formats->len; i++) {
        const IngotFormat *format = g_ptr_array_index(formats, i);
        json_array_append_new(list, json_pack("{s:s, s:s}", "name", format->name, "summary", format->summary));
    }
    g_autoptr(json_t) body = json_pack("{s:O}", "formats", list);
    return answer_json(request, body);
}

/* What is not measured yet: once more when it is, or its client is told to come again. */
static enum MHD_Result answer_measured(Request *request, const Place *place, PlaceAnswer answer, gboolean sums)
{
    g_autoptr(GError) error = NULL, problem = NULL;
    enum MHD_Result result = answer(request, place, &error);
    if (error == NULL) {
        return result;
    }
    if (!g_error_matches(error, VIEW_ERROR, VIEW_ERROR_UNMEASURED)) {
        return fail(request, error);
    }
    const WarmWish wish = {.name = place->name, .reference = place_image(place), .format = place->format, .sums = sums};
    switch (patience_wait(request, &wish, patience_end(), &problem)) {
    case WARM_READY:
        g_clear_error(&error);
        result = answer(request, place, &error);
        return error == NULL                                               ? result
               : g_error_matches(error, VIEW_ERROR, VIEW_ERROR_UNMEASURED) ? patience_answer(request)
                                                                           : fail(request, error);
    case WARM_FAILED:
        return fail(request, problem);
    default:
        return patience_answer(request);
    }
}

static enum MHD_Result list_files(Request *request, const Place *place, GError **error)
{
    IngotDigest digest;
    g_autoptr(GPtrArray) files =
        views_files(request->server->views, place->name, place_image(place), place->format, &digest, error);
    if (files == NULL) {
        return MHD_NO;
    }
    g_autofree char *text = ingot_digest_to_text(&digest);
    g_autoptr(json_t) body = json_pack("{s:s, s:o}", "manifest", text, "files", describe_files(files));
    return answer_json(request, body);
}

/* As sha256sum(1) writes it, and reads it with -c. */
static enum MHD_Result answer_sum(Request *request, const Place *place, GError **error)
{
    g_autofree char *file = g_strndup(place->file, strlen(place->file) - strlen(SUM));
    g_autoptr(View) view =
        views_open(request->server->views, place->name, place_image(place), place->format, file, error);
    IngotDigest digest;
    if (view == NULL || !view_digest(view, &digest, error)) {
        return MHD_NO;
    }
    char hex[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(&digest, hex);
    g_autofree char *line = g_strdup_printf("%s  %s\n", hex + strlen("sha256:"), file);
    return request_answer(request, MHD_HTTP_OK, "text/plain", line, strlen(line), "Cache-Control",
                          access_keep_asking(request), NULL);
}

static gssize read_view(gpointer source, guint64 offset, void *buffer, gsize size, GError **error)
{
    return view_read(source, offset, buffer, size, error);
}

static gboolean run_of_view(gpointer source, guint64 offset, guint64 length, int *fd, guint64 *at)
{
    return view_run(source, offset, length, fd, at);
}

static void unref_view(gpointer source)
{
    view_unref(source);
}

static enum MHD_Result answer_file(Request *request, const Place *place, GError **error)
{
    static const BodyKind kind = {.read = read_view, .run = run_of_view, .unref = unref_view};
    g_autoptr(View) view =
        views_open(request->server->views, place->name, place_image(place), place->format, place->file, error);
    if (view == NULL) {
        return MHD_NO;
    }
    if (strcmp(request->method, "GET") == 0) {
        view_note_pull(view);
    }
    const ServeHeaders headers = {.type = "application/octet-stream",
                                  .tag = view_tag(view),
                                  .keep = strchr(place->reference, ':') != NULL ? access_keep(request)
                                                                                : access_keep_asking(request)};
    return serve(request, body_new(&kind, view_ref(view), view_size(view)), &headers);
}

/* A folder tells sizes, which may have to be measured, as does what is in a format that compresses. */
static Pool pool_of_answer(const Request *request)
{
    g_autofree char *folder = g_path_get_dirname(request->path), *name = g_path_get_basename(folder);
    const IngotFormat *format = ingot_format_find(name, NULL);
    return g_str_has_suffix(request->path, "/") || g_str_has_suffix(request->path, SUM) ||
                   (format != NULL && format->codec != NULL)
               ? POOL_SLOW
               : POOL_READ;
}

static Pool choose_pool(const Request *request, const RouteMatch *match)
{
    (void)match;
    return request->server->through != NULL ? POOL_UPSTREAM : pool_of_answer(request);
}

static gboolean look_up(Storage *storage, const Place *place, IngotDigest *digest)
{
    const char *reference = place_image(place);
    return strchr(reference, ':') != NULL ? storage_digest(storage, reference, digest, NULL)
                                          : storage_find_tag(storage, place->name, reference, digest, NULL);
}

/* What comes from an upstream is not here yet: nobody waits in a thread for that. */
static void come_later(Request *request, FetchOutcome outcome)
{
    if (outcome == FETCH_PENDING && g_get_monotonic_time() < request->start + THROUGH_WAIT) {
        request_again(request, COLD_LOOK);
    } else {
        request_refuse_busy(request, through_reason(outcome));
    }
}

static gboolean is_waited_for(gpointer request, GError **error)
{
    gboolean gone = request_gone(request);
    if (gone) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "the client has left");
    }
    return !gone;
}

/* What describes the images of an index may have to come first: *outcome says whether it has. */
static gboolean choose_described(Request *request, const Place *place, const IngotDigest *digest, IngotDigest *image,
                                 FetchOutcome *outcome, GError **error)
{
    const Server *server = request->server;
    const ViewWish wish = {.name = place->name,
                           .manifest = digest,
                           .format = place->format,
                           .architecture = request_query(request, "arch"),
                           .gate = is_waited_for,
                           .user = request};
    GError *problem = NULL;
    *outcome = FETCH_DONE;
    if (view_choose(server->views, &wish, image, &problem)) {
        return TRUE;
    }
    if (server->through == NULL || !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    *outcome = through_description(server->through, server->storage, place->name, place_image(place));
    return view_choose(server->views, &wish, image, error);
}

/* Of an index the image is meant that is for the format and the architecture. */
static void choose_image(Request *request, Place *place)
{
    g_autoptr(GError) error = NULL;
    FetchOutcome outcome;
    IngotDigest digest, image;
    if (!look_up(request->server->storage, place, &digest)) {
        return; /* the answer says so */
    }
    if (!choose_described(request, place, &digest, &image, &outcome, &error)) {
        if (through_is_open(outcome) && g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            come_later(request, outcome);
        } else {
            fail(request, error);
        }
    } else if (!ingot_digest_equal(&image, &digest)) {
        g_free(place->exact);
        place->exact = ingot_digest_to_text(&image);
        if (request->server->through != NULL) {
            request_again(request, AT_ONCE); /* its disk may have to come */
        }
    }
}

/* The image may have to come first. */
static Pool formats_move(Request *request, const RouteMatch *match)
{
    Place *place = request->kept;
    (void)match;
    if (request->server->through != NULL) {
        g_autofree char *exact = NULL;
        FetchOutcome outcome =
            through_image(request->server->through, request->server->storage, place->name, place_image(place), &exact);
        if (place->exact == NULL) {
            place->exact = g_steal_pointer(&exact);
        }
        if (through_is_open(outcome)) {
            come_later(request, outcome);
        }
    }
    if (request->again == 0 && request->status == 0) {
        choose_image(request, place);
    }
    return pool_of_answer(request);
}

static enum MHD_Result formats_check(Request *request, const RouteMatch *match)
{
    Place *place = g_new0(Place, 1);
    request_keep(request, place, place_free);
    if (!parse(match->reference, place)) {
        return request_refuse(request, MHD_HTTP_NOT_FOUND, "UNSUPPORTED",
                              "/formats/NAME/REFERENCE/FORMAT/FILE is expected");
    }
    g_autoptr(GError) error = NULL;
    if (!ingot_name_check(place->name, &error)) {
        return request_refuse(request, MHD_HTTP_BAD_REQUEST, "NAME_INVALID", error->message);
    }
    return access_may(request, ACCESS_PULL, place->name) || pass_opens(request)
               ? MHD_YES
               : access_refuse(request, place->name, ACCESS_PULL);
}

static enum MHD_Result formats_answer(Request *request, const RouteMatch *match)
{
    const Place *place = request->kept;
    (void)match;
    if (place->format == NULL) {
        return list_formats(request, place);
    }
    gboolean sums = place->file != NULL && g_str_has_suffix(place->file, SUM);
    return answer_measured(request, place, place->file == NULL ? list_files : sums ? answer_sum : answer_file, sums);
}

const Route formats_routes[] = {
    {.methods = "GET, HEAD",
     .pattern = "/formats/*",
     .name = "formats",
     .vagrant = TRUE,
     .check = formats_check,
     .choose = choose_pool,
     .move = formats_move,
     .answer = formats_answer},
    {0},
};

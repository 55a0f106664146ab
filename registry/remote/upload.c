#include "remote/upload.h"

#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "remote/failure.h"
#include "remote/relay.h"

#define WHOLE_MAX ((guint64)8 << 20) /* bytes of a blob that goes in one request: they are soon sent again */
#define STRAYS_MAX 8
#define END_PATIENCE 1800 /* seconds, for a registry that says that it still hashes a blob */
#define END_SILENCE 15    /* seconds that it may take to say so */
#define END_STALLS 20     /* times what may stall, for one that says nothing while it puts a blob in its place */

void upload_clear(Upload *upload)
{
    g_clear_pointer(&upload->location, g_free);
    g_clear_pointer(&upload->frames, g_free);
}

gboolean upload_take_location(const IngotRemote *remote, const HttpExchange *exchange, const char *header, char **url,
                              GError **error)
{
    const char *text = http_header(exchange, header);
    char *found = text == NULL ? NULL : http_location(remote, exchange, text, error);
    if (found != NULL) {
        g_free(*url);
        *url = found;
    }
    return text == NULL || found != NULL;
}

gboolean upload_refused(IngotRemote *remote, Upload *upload, const HttpExchange *exchange, GError **error)
{
    upload->refused = exchange->status;
    return http_refused(remote, exchange, error);
}

/* --- its beginning and its end --- */

/* What nobody ends would take room at the registry for a day. One that can't drop it is no error. */
static void drop(IngotRemote *remote, Upload *upload)
{
    IngotRemoteEnd ended = remote->ended;
    Patience none = patience_of(0);
    g_auto(HttpExchange)
        end = {.method = "DELETE", .url = g_strdup(upload->location), .limit = UPLOAD_ANSWER_MAX, .patience = &none};
    if (upload->location != NULL) {
        http_exchange(remote, &end, NULL);
        upload_clear(upload);
        remote->ended = ended;
    }
}

gboolean upload_give_up(IngotRemote *remote, Upload *upload, GError *problem, GError **error)
{
    if (!failure_ends_all(problem)) {
        drop(remote, upload);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean upload_begin(IngotRemote *remote, Upload *upload, GError **error)
{
    drop(remote, upload);
    g_auto(HttpExchange) post = {.method = "POST",
                                 .url = http_api_url(remote, upload->name, "blobs", "uploads/"),
                                 .body = "",
                                 .limit = UPLOAD_ANSWER_MAX};
    upload->again = FALSE;
    if (!http_exchange(remote, &post, error)) {
        return FALSE;
    }
    const char *location = post.status == 202 ? http_header(&post, "location") : NULL;
    if (location == NULL) {
        http_refused(remote, &post, error);
        return FALSE;
    }
    const char *least = http_header(&post, "oci-chunk-min-length");
    if (least == NULL || !g_ascii_string_to_unsigned(least, 10, 0, G_MAXINT64, &upload->least, NULL)) {
        upload->least = 0;
    }
    upload->location = http_location(remote, &post, location, error);
    return upload->location != NULL && upload_take_location(remote, &post, "ingot-frames", &upload->frames, error);
}

char *upload_end_url(const Upload *upload, const IngotDigest *digest)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(digest, text);
    /* It may have a query already. */
    return g_strdup_printf("%s%sdigest=%s", upload->location, strchr(upload->location, '?') == NULL ? "?" : "&", text);
}

gboolean upload_send(IngotRemote *remote, Upload *upload, HttpExchange *exchange, GError **error)
{
    exchange->patience = &upload->patience;
    exchange->counted = upload->counted;
    gboolean ok = http_exchange(remote, exchange, error);
    upload->counted = exchange->counted;
    upload->again = ok && exchange->begin_anew;
    return ok;
}

/* Whether the registry has the blob, though it did not say so when it was ended. */
static gboolean is_there(IngotRemote *remote, const Upload *upload, const IngotDescriptor *blob)
{
    gboolean has = FALSE;
    return ingot_remote_has_blob(remote, upload->name, &blob->digest, &has, NULL) && has;
}

/* A request without an answer may have done what it was asked for. */
static gboolean is_done_all_the_same(IngotRemote *remote, const Upload *upload, const IngotDescriptor *blob,
                                     GError *problem, GError **error)
{
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NETWORK) && is_there(remote, upload, blob)) {
        g_error_free(problem);
        return TRUE;
    }
    g_propagate_error(error, problem);
    return FALSE;
}

gboolean upload_end(IngotRemote *remote, Upload *upload, const IngotDescriptor *blob, gboolean doubt,
                    IngotProgress *progress, GError **error)
{
    Patience long_one = patience_by_clock(END_PATIENCE);
    gint64 wait = 0;
    upload->again = FALSE;
    for (gboolean told = FALSE;; told = TRUE) {
        GError *problem = NULL;
        g_auto(HttpExchange) end = {.method = "PUT",
                                    .url = upload_end_url(upload, &blob->digest),
                                    .body = "",
                                    .fresh = TRUE,
                                    .limit = UPLOAD_ANSWER_MAX,
                                    .silence = upload->frames != NULL ? END_SILENCE : END_STALLS * http_stall(remote),
                                    .patience = &upload->patience};
        if (!http_exchange(remote, &end, &problem)) {
            return is_done_all_the_same(remote, upload, blob, problem, error);
        }
        if (!http_still_hashes(&end) || (wait = patience_take(&long_one, remote->curl, CURLE_OK, end.status)) < 0) {
            if (end.status == 201 || (end.lost && is_there(remote, upload, blob))) {
                return TRUE;
            }
            upload->again = (doubt || end.lost) && (end.status == 400 || end.status == 404 || end.status == 409);
            return upload->again || upload_refused(remote, upload, &end, error);
        }
        doubt = FALSE;
        if (!told) {
            ingot_progress_message(progress, "%s has all of the disk, and still works out its digest", remote->host);
        }
        if (!http_wait(remote, wait, error)) {
            return FALSE;
        }
    }
}

/* --- the whole of it in one request --- */

/* Goes the other way, in another upload. FALSE: it was gone already. */
static gboolean turn(Upload *upload)
{
    if (upload->turned) {
        return FALSE;
    }
    upload->turned = upload->again = TRUE;
    upload->in_pieces = !upload->in_pieces;
    return TRUE;
}

/* Whether a status may say that a body is not taken in this way. */
static gboolean is_about_the_way(long status)
{
    return status == 404 || status == 405 || status == 411 || status == 415 || status == 501;
}

static gboolean put_whole(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                          IngotProgress *progress, GError **error)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    const IngotRange all = {.length = blob->size};
    GError *problem = NULL;
    g_auto(HttpExchange) whole = {.method = "PUT",
                                  .url = upload_end_url(upload, &blob->digest),
                                  .headers = headers,
                                  .upload_fd = fd,
                                  .upload_size = blob->size,
                                  .upload_ranges = &all,
                                  .progress = progress,
                                  .limit = UPLOAD_ANSWER_MAX};
    if (!upload_send(remote, upload, &whole, &problem)) {
        return is_done_all_the_same(remote, upload, blob, problem, error);
    }
    if (whole.status != 201 && whole.lost && is_there(remote, upload, blob)) {
        upload->again = FALSE;
        return TRUE;
    }
    if (upload->again || whole.status == 201) {
        return TRUE;
    }
    gboolean other_way = whole.status == 400 || whole.status == 413 || is_about_the_way(whole.status);
    return (other_way && turn(upload)) || upload_refused(remote, upload, &whole, error);
}

/* --- in pieces --- */

gboolean upload_told_position(const HttpExchange *exchange, guint64 *at)
{
    const char *text = http_header(exchange, "range");
    text = text != NULL && g_str_has_prefix(text, "bytes=") ? text + strlen("bytes=") : text;
    if (text == NULL || !g_str_has_prefix(text, "0-") ||
        !g_ascii_string_to_unsigned(text + strlen("0-"), 10, 0, G_MAXINT64 - 1, at, NULL)) {
        return FALSE;
    }
    *at += *at > 0;
    return TRUE;
}

/* Goes on where the registry is; one that does not say where is to have it all anew. */
static void go_on_at(Upload *upload, gboolean told, guint64 at, guint64 size)
{
    upload->again = !told || at > size;
    upload->at = upload->again ? 0 : at;
    if (upload->at > upload->most) {
        upload->most = upload->at;
        patience_renew(&upload->patience);
    }
}

static gboolean ask_position(IngotRemote *remote, Upload *upload, guint64 size, GError **error)
{
    g_auto(HttpExchange) get = {
        .method = "GET", .url = g_strdup(upload->location), .limit = UPLOAD_ANSWER_MAX, .patience = &upload->patience};
    guint64 at = 0;
    if (!http_exchange(remote, &get, error)) {
        return FALSE;
    }
    gboolean told = get.status < 300 && upload_told_position(&get, &at);
    go_on_at(upload, told, at, size);
    return upload->again || upload_take_location(remote, &get, "location", &upload->location, error);
}

/* FALSE: there is no shorter piece that the registry takes. */
static gboolean shorten(Upload *upload, guint64 length)
{
    static const guint64 steps[] = {64 << 20, 8 << 20, 1 << 20};
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (steps[i] < length && steps[i] >= upload->least) {
            upload->piece = steps[i];
            return TRUE;
        }
    }
    return FALSE;
}

/* The registry is where it says, or has taken the piece. One that stays where it was has an end. */
static gboolean take_piece(IngotRemote *remote, Upload *upload, const HttpExchange *piece, guint64 size, GError **error)
{
    guint64 from = upload->at, at = from + piece->upload_size, told = 0;
    gboolean stray = piece->status == 416 || (upload_told_position(piece, &told) && told != at);
    if (stray && ++upload->strays > STRAYS_MAX) {
        return upload_refused(remote, upload, piece, error);
    }
    if (!upload_take_location(remote, piece, "location", &upload->location, error)) {
        return FALSE;
    }
    if (stray && !upload_told_position(piece, &told)) {
        return ask_position(remote, upload, size, error);
    }
    go_on_at(upload, TRUE, stray ? told : at, size);
    return TRUE;
}

static gboolean put_piece(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                          IngotProgress *progress, GError **error)
{
    guint64 left = blob->size - upload->at, most = MAX(upload->piece, upload->least);
    const IngotRange range = {.offset = upload->at, .length = upload->piece == 0 ? left : MIN(left, most)};
    g_autofree char *place = g_strdup_printf("Content-Range: %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, range.offset,
                                             range.offset + range.length - 1);
    const char *const headers[] = {"Content-Type: application/octet-stream", place, NULL};
    g_auto(HttpExchange) piece = {.method = "PATCH",
                                  .url = g_strdup(upload->location),
                                  .headers = headers,
                                  .upload_fd = fd,
                                  .upload_size = range.length,
                                  .upload_ranges = &range,
                                  .before = upload->at,
                                  .position = upload->at,
                                  .progress = progress,
                                  .limit = UPLOAD_ANSWER_MAX};
    if (!upload_send(remote, upload, &piece, error)) {
        return FALSE;
    }
    if (upload->again) {
        return ask_position(remote, upload, blob->size, error);
    }
    if (piece.status == 202 || piece.status == 201 || piece.status == 204 || piece.status == 416) {
        return take_piece(remote, upload, &piece, blob->size, error);
    }
    gboolean goes_on = piece.status == 413 ? shorten(upload, range.length)
                                           : upload->at == 0 && is_about_the_way(piece.status) && turn(upload);
    return goes_on || upload_refused(remote, upload, &piece, error);
}

static gboolean put_pieces(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob,
                           IngotProgress *progress, GError **error)
{
    upload->at = 0;
    while (upload->at < blob->size) {
        if (!put_piece(remote, upload, fd, blob, progress, error)) {
            return FALSE;
        }
        if (upload->again) {
            return TRUE;
        }
    }
    return upload_end(remote, upload, blob, FALSE, progress, error);
}

gboolean upload_put(IngotRemote *remote, Upload *upload, int fd, const IngotDescriptor *blob, gboolean begun,
                    IngotProgress *progress, GError **error)
{
    GError *problem = NULL;
    gboolean ok;
    upload->in_pieces = blob->size > WHOLE_MAX;
    for (;; begun = FALSE) {
        ok = (begun || upload_begin(remote, upload, &problem)) &&
             (upload->in_pieces ? put_pieces(remote, upload, fd, blob, progress, &problem)
                                : put_whole(remote, upload, fd, blob, progress, &problem));
        if (!ok || !upload->again) {
            break;
        }
    }
    return ok || upload_give_up(remote, upload, problem, error);
}

gboolean ingot_remote_put_blob(IngotRemote *remote, const char *name, const char *path, const IngotDescriptor *blob,
                               IngotProgress *progress, GError **error)
{
    g_auto(Upload) upload = {.name = name, .patience = patience_of(remote->patience)};
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDONLY, 0, error);
    return fd >= 0 && upload_put(remote, &upload, fd, blob, FALSE, progress, error);
}

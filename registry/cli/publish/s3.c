#include "cli/publish/s3.h"

#include <curl/curl.h>
#include <errno.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/process.h"
#include "base/text.h"
#include "remote/failure.h"
#include "remote/http.h"
#include "remote/patience.h"

#define PATIENCE 120u           /* seconds that one request may wait for a server that is busy */
#define ANSWER_MAX (256u << 10) /* bytes of an error's XML */
#define ETAG_MAX 256u           /* bytes */
#define NAME_MAX_BUCKET 255u    /* bytes; Amazon's are shorter, other servers' may not be */
#define STALL_SAID 30L          /* seconds, as http_prepare has it */

struct S3 {
    char *base; /* "https://bucket.s3.eu-north-1.amazonaws.com/" */
    char *bucket;
    S3Access access;
    IngotRemoteOptions *options;
    IngotProgress *progress;
    CURL *curl; /* kept, so that connections are */
};

/* One request. */
typedef struct {
    S3 *s3;
    const char *method, *key;
    const S3Body *body;    /* NULL: none */
    const char *if_match;  /* the ETag that the object must have; NULL: none */
    gboolean if_none;      /* it must not be there */
    gsize limit;           /* of the answer's bytes, where the status is 200 */
    guint64 sent, counted; /* bytes; counted: told to progress, which no second try adds to */
    GByteArray *answer;
    gboolean too_large;
    char *etag, *region; /* of the answer */
    guint64 length;
    CURLcode code;
    long status;
} S3Request;

void s3_access_clear(S3Access *access)
{
    g_clear_pointer(&access->key, g_free);
    g_clear_pointer(&access->secret, g_free);
    g_clear_pointer(&access->token, g_free);
    g_clear_pointer(&access->region, g_free);
    g_clear_pointer(&access->endpoint, g_free);
}

/* --- names --- */

static gboolean bucket_check(const char *bucket, GError **error)
{
    gsize length = strlen(bucket);
    gboolean right = length > 0 && length <= NAME_MAX_BUCKET && g_ascii_isalnum(bucket[0]);
    for (gsize i = 0; i < length; i++) {
        right = right && (g_ascii_isalnum(bucket[i]) || strchr("._-", bucket[i]) != NULL);
    }
    if (!right) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "s3://%s: not a bucket's name: letters, digits, '.', '_' and '-' are expected", bucket);
    }
    return right;
}

/* What signs has no password by name and is shown to no other host, so a URL with a login, a query or a path of dots is
 * not asked. */
static gboolean endpoint_check(const char *endpoint, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(endpoint, G_URI_FLAGS_NONE, NULL);
    const char *scheme = uri == NULL ? "" : g_uri_get_scheme(uri);
    if ((strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) && g_uri_get_userinfo(uri) == NULL &&
        g_uri_get_query(uri) == NULL && g_uri_get_fragment(uri) == NULL) {
        return TRUE;
    }
    g_autofree char *shown = ingot_text_url(endpoint);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: not the endpoint of an S3 server: https://HOST[:PORT] is expected", shown);
    return FALSE;
}

/* A certificate of Amazon's is for one name below its own: no bucket with a dot in it. */
static char *base_of(const char *bucket, const S3Access *access)
{
    gsize length = access->endpoint == NULL ? 0 : strlen(access->endpoint);
    while (length > 0 && access->endpoint[length - 1] == '/') {
        length--;
    }
    return length > 0 ? g_strdup_printf("%.*s/%s/", (int)length, access->endpoint, bucket)
           : strpbrk(bucket, "._ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL
               ? g_strdup_printf("https://s3.%s.amazonaws.com/%s/", access->region, bucket)
               : g_strdup_printf("https://%s.s3.%s.amazonaws.com/", bucket, access->region);
}

/* As the signature wants it: all but letters, digits, "-._~" and slashes by %XX. */
char *s3_url(const S3 *s3, const char *key)
{
    g_autofree char *path = g_uri_escape_string(key, "/", FALSE);
    return g_strconcat(s3->base, path, NULL);
}

S3 *s3_new(const char *bucket, const S3Access *access, const IngotRemoteOptions *options, IngotProgress *progress,
           GError **error)
{
    if (!bucket_check(bucket, error) || (access->endpoint != NULL && !endpoint_check(access->endpoint, error)) ||
        !http_check_settings(options, error)) {
        return NULL;
    }
    S3 *s3 = g_new0(S3, 1);
    *s3 = (S3){.base = base_of(bucket, access),
               .bucket = g_strdup(bucket),
               .access = {.key = g_strdup(access->key),
                          .secret = g_strdup(access->secret),
                          .token = g_strdup(access->token),
                          .region = g_strdup(access->region),
                          .endpoint = g_strdup(access->endpoint)},
               .options = ingot_remote_options_copy(options),
               .progress = progress,
               .curl = curl_easy_init()};
    return s3;
}

void s3_free(S3 *s3)
{
    curl_easy_cleanup(s3->curl);
    ingot_remote_options_free(s3->options);
    s3_access_clear(&s3->access);
    g_free(s3->bucket);
    g_free(s3->base);
    g_free(s3);
}

/* --- a request --- */

static void request_clear(S3Request *request)
{
    g_clear_pointer(&request->answer, g_byte_array_unref);
    g_clear_pointer(&request->etag, g_free);
    g_clear_pointer(&request->region, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(S3Request, request_clear)

static size_t on_send(char *buffer, size_t size, size_t count, void *user)
{
    S3Request *request = user;
    size_t want = (size_t)MIN((guint64)(size * count), request->body->size - request->sent);
    ssize_t got = (ssize_t)want;
    if (request->body->data != NULL) {
        memcpy(buffer, (const char *)request->body->data + request->sent, want);
    } else {
        got = want == 0 ? 0 : pread(request->body->fd, buffer, want, (off_t)request->sent);
    }
    if (got < 0 || (got == 0 && want > 0)) {
        return CURL_READFUNC_ABORT;
    }
    request->sent += (guint64)got;
    if (request->sent > request->counted) {
        ingot_progress_add(request->s3->progress, request->sent - request->counted);
        request->counted = request->sent;
    }
    return (size_t)got;
}

static int on_seek(void *user, curl_off_t offset, int origin)
{
    S3Request *request = user;
    if (origin != SEEK_SET) {
        return CURL_SEEKFUNC_CANTSEEK;
    }
    request->sent = (guint64)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_answer(char *data, size_t size, size_t count, void *user)
{
    S3Request *request = user;
    long status = 0;
    curl_easy_getinfo(request->s3->curl, CURLINFO_RESPONSE_CODE, &status);
    gsize limit = status == 200 ? request->limit : ANSWER_MAX;
    if (size * count > limit - MIN(limit, request->answer->len)) {
        request->too_large = TRUE;
        return 0;
    }
    g_byte_array_append(request->answer, (const guint8 *)data, (guint)(size * count));
    return size * count;
}

/* The value of a header line of that name; free it. NULL: it is another header. */
static char *header_value(const char *line, gsize size, const char *name)
{
    gsize length = strlen(name);
    if (size <= length || g_ascii_strncasecmp(line, name, length) != 0 || line[length] != ':') {
        return NULL;
    }
    return g_strstrip(g_strndup(line + length + 1, size - length - 1));
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    S3Request *request = user;
    char *etag = header_value(data, size * count, "etag"),
         *region = header_value(data, size * count, "x-amz-bucket-region");
    if (etag != NULL && strlen(etag) <= ETAG_MAX) {
        g_free(request->etag);
        request->etag = g_steal_pointer(&etag);
    }
    if (region != NULL) {
        g_free(request->region);
        request->region = region;
    }
    g_free(etag);
    return size * count;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    g_autofree char *line = value == NULL ? NULL : g_strdup_printf("%s: %s", name, value);
    return line == NULL ? list : curl_slist_append(list, line);
}

/* All are signed. libcurl knows no sum of what it reads from a function. */
static struct curl_slist *make_headers(const S3Request *request)
{
    IngotDigest empty;
    char digest[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_of("", 0, &empty);
    ingot_digest_write_text(request->body == NULL ? &empty : &request->body->digest, digest);
    struct curl_slist *list = add_header(NULL, "x-amz-content-sha256", digest + strlen("sha256:"));
    list = add_header(list, "x-amz-security-token", request->s3->access.token);
    list = add_header(list, "If-Match", request->if_match);
    list = add_header(list, "If-None-Match", request->if_none ? "*" : NULL);
    if (request->body != NULL) {
        list = add_header(list, "Content-Type", request->body->type);
        list = add_header(list, "Cache-Control", request->body->cache_control);
    }
    return list;
}

static void prepare(S3Request *request, const char *url, struct curl_slist *headers)
{
    S3 *s3 = request->s3;
    g_autofree char *signing = g_strdup_printf("aws:amz:%s:s3", s3->access.region);
    curl_easy_reset(s3->curl);
    http_prepare(s3->curl, url, s3->options);
    curl_easy_setopt(s3->curl, CURLOPT_FOLLOWLOCATION, 0L); /* a signature is for one host */
    curl_easy_setopt(s3->curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(s3->curl, CURLOPT_AWS_SIGV4, signing);
    curl_easy_setopt(s3->curl, CURLOPT_USERNAME, s3->access.key);
    curl_easy_setopt(s3->curl, CURLOPT_PASSWORD, s3->access.secret);
    curl_easy_setopt(s3->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(s3->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(s3->curl, CURLOPT_HEADERDATA, request);
    curl_easy_setopt(s3->curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(s3->curl, CURLOPT_WRITEDATA, request);
    if (strcmp(request->method, "HEAD") == 0) {
        curl_easy_setopt(s3->curl, CURLOPT_NOBODY, 1L);
    }
    if (request->body != NULL) {
        curl_easy_setopt(s3->curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(s3->curl, CURLOPT_READFUNCTION, on_send);
        curl_easy_setopt(s3->curl, CURLOPT_READDATA, request);
        curl_easy_setopt(s3->curl, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(s3->curl, CURLOPT_SEEKDATA, request);
        curl_easy_setopt(s3->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body->size);
        curl_easy_setopt(s3->curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
    }
}

static void perform(S3Request *request, const char *url)
{
    struct curl_slist *headers = make_headers(request);
    curl_off_t length = 0;
    g_clear_pointer(&request->answer, g_byte_array_unref);
    g_clear_pointer(&request->etag, g_free);
    request->answer = g_byte_array_new();
    request->sent = 0;
    request->status = 0;
    prepare(request, url, headers);
    request->code = curl_easy_perform(request->s3->curl);
    curl_easy_getinfo(request->s3->curl, CURLINFO_RESPONSE_CODE, &request->status);
    curl_easy_getinfo(request->s3->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    request->length = length < 0 ? 0 : (guint64)length;
    curl_slist_free_all(headers);
}

/* --- what went wrong --- */

/* The text of an element of an error's XML, which S3 writes flat and without attributes; free it. NULL: there is none.
 */
static char *element(const GByteArray *answer, const char *name)
{
    g_autofree char *text = g_strndup(answer->len == 0 ? "" : (const char *)answer->data, answer->len),
                    *open = g_strdup_printf("<%s>", name), *close = g_strdup_printf("</%s>", name);
    char *from = strstr(text, open), *to = from == NULL ? NULL : strstr(from, close);
    if (to == NULL) {
        return NULL;
    }
    *to = '\0';
    return ingot_text_line(from + strlen(open));
}

static gboolean refuse_status(const S3Request *request, GError **error)
{
    g_autofree char *code = element(request->answer, "Code"), *message = element(request->answer, "Message");
    const char *region = request->region;
    IngotError kind = request->status == 403 || request->status == 401 ? INGOT_ERROR_DENIED
                      : request->status == 404                         ? INGOT_ERROR_NOT_FOUND
                      : patience_is_passing(request->status)           ? INGOT_ERROR_NETWORK
                                                                       : INGOT_ERROR_FAILED;
    g_set_error(error, INGOT_ERROR, kind, "s3://%s/%s: refused with status %ld%s%s%s%s%s%s%s", request->s3->bucket,
                request->key, request->status, code == NULL ? "" : ", ", code == NULL ? "" : code,
                message == NULL ? "" : ": ", message == NULL ? "" : message,
                region == NULL || strcmp(region, request->s3->access.region) == 0 ? "" : "; the bucket is in region ",
                region == NULL || strcmp(region, request->s3->access.region) == 0 ? "" : region,
                region == NULL || strcmp(region, request->s3->access.region) == 0 ? "" : " ($AWS_REGION)");
    return FALSE;
}

static gboolean fail_transfer(const S3Request *request, GError **error)
{
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (request->too_large) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT, "s3://%s/%s: larger than what is read of it, %zu bytes",
                    request->s3->bucket, request->key, request->limit);
        return FALSE;
    }
    if (request->code == CURLE_ABORTED_BY_CALLBACK) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "s3://%s/%s: the file to send cannot be read to its end",
                    request->s3->bucket, request->key);
        return FALSE;
    }
    gboolean unconnected = request->status == 0 && !patience_broke_off(request->code);
    g_autofree char *cause =
        failure_cause(request->s3->curl, request->code, unconnected, http_seconds(request->s3->options, STALL_SAID));
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "s3://%s/%s (%s): %s", request->s3->bucket, request->key,
                request->s3->base, cause);
    return FALSE;
}

/* FALSE: there was no answer. A conflict with another writer (409) is for whoever has set a condition. */
static gboolean ask(S3Request *request, GError **error)
{
    g_autofree char *url = s3_url(request->s3, request->key);
    Patience patience = patience_of(PATIENCE);
    for (;;) {
        perform(request, url);
        gint64 wait = patience_take(&patience, request->s3->curl, request->code, request->status);
        if (wait < 0 || request->too_large) {
            return request->code == CURLE_OK || fail_transfer(request, error);
        }
        if (!patience_sleep(wait, error)) {
            return FALSE;
        }
    }
}

/* --- what is asked --- */

/* A bucket that is not there is no answer about what it has. */
static gboolean is_absent(const S3Request *request)
{
    g_autofree char *code = element(request->answer, "Code");
    return request->status == 404 && g_strcmp0(code, "NoSuchBucket") != 0;
}

gboolean s3_find(S3 *s3, const char *key, gboolean *there, guint64 *size, GError **error)
{
    g_auto(S3Request) request = {.s3 = s3, .method = "HEAD", .key = key};
    if (!ask(&request, error)) {
        return FALSE;
    }
    *there = request.status == 200;
    *size = request.length;
    return *there || is_absent(&request) || refuse_status(&request, error);
}

gboolean s3_get(S3 *s3, const char *key, gsize limit, GBytes **bytes, char **etag, GError **error)
{
    g_auto(S3Request) request = {.s3 = s3, .method = "GET", .key = key, .limit = limit};
    *bytes = NULL;
    *etag = NULL;
    if (!ask(&request, error)) {
        return FALSE;
    }
    if (request.status == 200) {
        *bytes = g_byte_array_free_to_bytes(g_steal_pointer(&request.answer));
        *etag = g_steal_pointer(&request.etag);
        return TRUE;
    }
    return is_absent(&request) || refuse_status(&request, error);
}

gboolean s3_put(S3 *s3, const char *key, const S3Body *body, GError **error)
{
    g_auto(S3Request) request = {.s3 = s3, .method = "PUT", .key = key, .body = body};
    return ask(&request, error) && (request.status == 200 || refuse_status(&request, error));
}

gboolean s3_replace(S3 *s3, const char *key, const S3Body *body, const char *etag, gboolean *moved, GError **error)
{
    g_auto(S3Request)
        request = {.s3 = s3, .method = "PUT", .key = key, .body = body, .if_match = etag, .if_none = etag == NULL};
    if (!ask(&request, error)) {
        return FALSE;
    }
    *moved = request.status == 412 || request.status == 409 || (request.status == 404 && etag != NULL);
    return *moved ? TRUE : request.status == 200 || refuse_status(&request, error);
}

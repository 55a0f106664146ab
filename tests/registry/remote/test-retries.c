/* One policy of retries for every exchange: what is busy, fails for once, or breaks the connection off is asked again,
 * a few times, and at the byte where it ended; what says something is not. */
#include "serve.h"

#include "base/json.h"
#include "remote/api.h"
#include "remote/ours.h"
#include "remote/relay.h"

#define BLOB "the bytes of a blob that comes in parts"

/* --- each kind of exchange --- */

static gboolean take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    char *into = user;
    (void)error;
    if (into != NULL) {
        memcpy(into + offset, data, size);
    }
    return TRUE;
}

static IngotDigest digest_of_blob(void)
{
    IngotDigest digest;
    ingot_digest_of(BLOB, strlen(BLOB), &digest);
    return digest;
}

static gboolean log_in(IngotRemote *remote, GError **error)
{
    g_autoptr(IngotCredentials) alice = ingot_credentials_new("alice", "word");
    gboolean asked;
    return ingot_remote_login(remote, alice, &asked, error);
}

static gboolean get_manifest(IngotRemote *remote, GError **error)
{
    IngotDescriptor found;
    g_autoptr(GBytes) bytes = ingot_remote_get_manifest(remote, "a", "1", &found, NULL, error);
    return bytes != NULL;
}

static gboolean find_tag(IngotRemote *remote, GError **error)
{
    IngotDigest digest;
    gboolean told;
    return ingot_remote_find_tag(remote, "a", "1", &digest, &told, error);
}

static gboolean put_manifest(IngotRemote *remote, GError **error)
{
    return ingot_remote_put_manifest(remote, "a", "1", "{}", 2, "a/b", error);
}

static gboolean has_blob(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    gboolean has = FALSE;
    return ingot_remote_has_blob(remote, "a", &digest, &has, error) && has;
}

static gboolean blob_size(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    guint64 size = 0;
    return ingot_remote_blob_size(remote, "a", &digest, &size, error) && size == strlen(BLOB);
}

static gboolean get_blob(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    g_autoptr(GBytes) bytes = ingot_remote_get_blob(remote, "a", &digest, strlen(BLOB), error);
    return bytes != NULL;
}

static gboolean get_ranges(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    const IngotRange range = {.offset = 4, .length = 20};
    return ingot_remote_get_ranges(remote, "a", &digest, strlen(BLOB), &range, 1, take, NULL, NULL, error);
}

static gboolean stream(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    return ingot_remote_stream(remote, "a", &digest, 4, 20, take, NULL, NULL, error);
}

static gboolean get_frames(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    g_autoptr(GBytes) frames = NULL;
    return ingot_remote_get_frames(remote, "a", &digest, &frames, error) && frames != NULL;
}

static gboolean get_path(IngotRemote *remote, GError **error)
{
    g_autoptr(GBytes) bytes = ingot_remote_get_path(remote, "/frames", 100, error);
    return bytes != NULL;
}

static gboolean list_names(IngotRemote *remote, GError **error)
{
    g_auto(GStrv) names = ingot_remote_list_names(remote, error);
    return names != NULL;
}

static gboolean list_tags(IngotRemote *remote, GError **error)
{
    g_auto(GStrv) tags = ingot_remote_list_tags(remote, "a", error);
    return tags != NULL;
}

static gboolean list_referrers(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    g_autoptr(json_t) list = ingot_remote_referrers(remote, "a", &digest, error);
    return list != NULL;
}

/* By the fallback tag: it is read, and written. */
static gboolean attach(IngotRemote *remote, GError **error)
{
    IngotDigest digest = digest_of_blob();
    g_autoptr(json_t) listed = json_pack("{s:s, s:s, s:i, s:s}", "mediaType", INGOT_TYPE_MANIFEST, "digest",
                                         "sha256:00", "size", 2, "artifactType", "a/b");
    return ingot_remote_attach(remote, "a", &digest, listed, "{}", 2, error);
}

static gboolean put_blob(IngotRemote *remote, GError **error)
{
    g_autofree char *path = NULL;
    IngotDescriptor blob = {.size = strlen(BLOB), .digest = digest_of_blob()};
    int fd = g_file_open_tmp("ingot-test-XXXXXX", &path, NULL);
    assert_int_equal(write(fd, BLOB, strlen(BLOB)), strlen(BLOB));
    gboolean ok = ingot_remote_put_blob(remote, "a", path, &blob, NULL, error);
    close(fd);
    unlink(path);
    return ok;
}

typedef struct {
    const char *name;
    gboolean (*run)(IngotRemote *remote, GError **error);
} Exchange;
static const Exchange exchanges[] = {
    {"login", log_in},        {"get_manifest", get_manifest}, {"find_tag", find_tag}, {"put_manifest", put_manifest},
    {"has_blob", has_blob},   {"blob_size", blob_size},       {"get_blob", get_blob}, {"get_ranges", get_ranges},
    {"stream", stream},       {"get_frames", get_frames},     {"get_path", get_path}, {"list_names", list_names},
    {"list_tags", list_tags}, {"referrers", list_referrers},  {"attach", attach},     {"put_blob", put_blob},
};

/* --- a registry that asks for a login, and fails at first --- */

#define RESETS "no answer at all"
#define IN_TWO_SECONDS "503 Service Unavailable, until a date"

typedef struct {
    const char *fault; /* the status of the first answer to each request; RESETS */
    gboolean always;   /* and of all others */
    const char *realm; /* where tokens are from; NULL: nobody needs one */
    const char *where; /* its URL */
    GHashTable *asked; /* method and path: how often */
    gsize most;        /* bytes of a blob in one answer, whose rest does not come; 0: all */
    gboolean ignores;  /* Range */
    guint64 shifts;    /* bytes behind what is asked for, for a cache that has ranges of its own */
    GString *ranges;   /* asked for, each with a comma behind it */
    gboolean listed;   /* the list of what is attached was written */
} Faulty;

/* The first line's method and path, but for a query that is another one each time. */
static char *key_of(const char *request)
{
    return g_strndup(request, strcspn(request, "?\r"));
}

static guint count_of(const Faulty *faulty, const char *request)
{
    g_autofree char *key = key_of(request);
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(faulty->asked, key)) + 1;
    g_hash_table_replace(faulty->asked, g_steal_pointer(&key), GUINT_TO_POINTER(count));
    return count;
}

static char *fault_of(const Faulty *faulty)
{
    if (strcmp(faulty->fault, RESETS) == 0) {
        return NULL;
    }
    if (strcmp(faulty->fault, IN_TWO_SECONDS) != 0) {
        return serve_text(faulty->fault, "", "");
    }
    g_autoptr(GDateTime) now = g_date_time_new_now_utc(), then = g_date_time_add_seconds(now, 2);
    g_autofree char *date = g_date_time_format(then, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n");
    return serve_text("503 Service Unavailable", date, "");
}

static char *blob_answer(Faulty *faulty, const char *request)
{
    guint64 first = 0, last = strlen(BLOB) - 1;
    const char *range = strstr(request, "Range: bytes=");
    if (range != NULL && !faulty->ignores) {
        char *end;
        first = g_ascii_strtoull(range + strlen("Range: bytes="), &end, 10);
        last = end[1] == '\r' ? last : g_ascii_strtoull(end + 1, NULL, 10);
        g_string_append_printf(faulty->ranges, "%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT ",", first, last);
        first += faulty->shifts;
        last += faulty->shifts;
    }
    gsize size = (gsize)(last - first + 1), part = faulty->most > 0 ? MIN(size, faulty->most) : size;
    return g_strdup_printf("HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %" G_GSIZE_FORMAT
                           "\r\nContent-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT
                           "/%zu\r\nIngot-Frames: /frames\r\n\r\n%.*s",
                           range != NULL && !faulty->ignores ? "206 Partial Content" : "200 OK", size, first, last,
                           strlen(BLOB), g_str_has_prefix(request, "HEAD") ? 0 : (int)part, BLOB + first);
}

static char *right_answer(Faulty *faulty, const char *request)
{
    static const char *const rows[][2] = {{"/tags/list", "{\"tags\":[]}"},
                                          {"/v2/_catalog", "{\"repositories\":[]}"},
                                          {"/referrers/", "{\"manifests\":[]}"},
                                          {"/manifests/", "{\"manifests\":[]}"},
                                          {"/frames", "list"}};
    if (g_str_has_prefix(request, "POST")) {
        return serve_text("202 Accepted", "Location: /v2/a/blobs/uploads/1\r\n", "");
    }
    if (g_str_has_prefix(request, "PUT")) {
        faulty->listed = faulty->listed || strstr(request, "/manifests/sha256-") != NULL;
        return serve_text("201 Created", "", "");
    }
    if (faulty->listed && strstr(request, "/manifests/sha256-") != NULL) {
        return serve_text("200 OK", "", "{\"manifests\":[{\"digest\":\"sha256:00\"}]}");
    }
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (strstr(request, rows[i][0]) != NULL) {
            return serve_text("200 OK", "", rows[i][1]);
        }
    }
    return strstr(request, "/blobs/") != NULL ? blob_answer(faulty, request) : serve_text("200 OK", "", "{}");
}

static char *answer(const char *request, gsize sent, gpointer user)
{
    Faulty *faulty = user;
    gboolean is_token = g_str_has_prefix(request, "GET /token");
    (void)sent;
    if (faulty->realm != NULL && !is_token && strstr(request, "Authorization: Bearer") == NULL) {
        g_autofree char *challenge =
            g_strdup_printf("WWW-Authenticate: Bearer realm=\"%s%s\"\r\n", faulty->where, faulty->realm);
        return serve_text("401 Unauthorized", challenge, "");
    }
    if (faulty->fault != NULL && (count_of(faulty, request) == 1 || faulty->always)) {
        return fault_of(faulty);
    }
    return is_token ? serve_text("200 OK", "", "{\"token\":\"abc\"}") : right_answer(faulty, request);
}

static Serve *faulty_serve(Faulty *faulty)
{
    faulty->asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    faulty->ranges = g_string_new(NULL);
    Serve *serve = serve_new(answer, faulty);
    faulty->where = serve->where;
    return serve;
}

static void faulty_clear(Faulty *faulty)
{
    g_hash_table_unref(faulty->asked);
    g_string_free(faulty->ranges, TRUE);
}

/* One exchange with one registry, in a thread of its own: each waits a second or two. */
typedef struct {
    const Exchange *exchange;
    Faulty faulty;
    guint patience;
    GThread *thread;
    gboolean ok;
    GError *error;
    guint most; /* how often one thing was asked for */
} Row;

static gpointer run_row(gpointer data)
{
    Row *row = data;
    Serve *serve = faulty_serve(&row->faulty);
    GHashTableIter iter;
    gpointer count;
    IngotRemote *remote = environment_remote(serve->where, NULL);
    ingot_remote_limit(remote, 5, 5, row->patience);
    row->ok = row->exchange->run(remote, &row->error);
    ingot_remote_free(remote);
    serve_free(serve);
    g_hash_table_iter_init(&iter, row->faulty.asked);
    while (g_hash_table_iter_next(&iter, NULL, &count)) {
        row->most = MAX(row->most, GPOINTER_TO_UINT(count));
    }
    faulty_clear(&row->faulty);
    return NULL;
}

static void run_rows(Row *rows, gsize count)
{
    for (gsize i = 0; i < count; i++) {
        rows[i].thread = g_thread_new("row", run_row, &rows[i]);
    }
    for (gsize i = 0; i < count; i++) {
        g_thread_join(rows[i].thread);
    }
}

/* --- tests --- */

/* The key of each request; "": none. */
static void note_key(const char *request, GPtrArray *keys)
{
    static const char header[] = "Idempotency-Key: ";
    const char *key = strstr(request, header);
    key = key == NULL ? "" : key + strlen(header);
    g_ptr_array_add(keys, g_strndup(key, strcspn(key, "\r")));
}

static char *keyed_answer(const char *request, gsize sent, gpointer user)
{
    static const char *const statuses[] = {RESETS, "502 Bad Gateway", "200 OK", "502 Bad Gateway", "200 OK", "200 OK"};
    GPtrArray *keys = user;
    const char *status = statuses[keys->len];
    (void)sent;
    note_key(request, keys);
    return strcmp(status, RESETS) == 0 ? NULL : serve_text(status, "Retry-After: 0\r\n", "{}");
}

/* So that a registry does not do once more what it has done, and does what is asked for anew. */
static void a_change_that_goes_out_again_has_the_same_key(void **state)
{
    static const char *const methods[] = {"POST", "POST", "GET"};
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);
    Serve *serve = serve_new(keyed_answer, keys);
    IngotRemote *remote = environment_remote(serve->where, NULL);
    (void)state;
    ingot_remote_limit(remote, 5, 5, 10);
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        guint status;
        g_autoptr(json_t) answer = remote_api(remote, methods[i], "a/rollback/prod", NULL, &status, NULL);
        assert_true(json_is_object(answer) && status == 200);
    }
    ingot_remote_free(remote);
    serve_free(serve);
    char **all = (char **)keys->pdata;
    assert_int_equal(keys->len, 6);
    assert_true(strlen(all[0]) >= 32 && strcmp(all[0], all[3]) != 0);
    assert_true(strcmp(all[0], all[1]) == 0 && strcmp(all[0], all[2]) == 0 && strcmp(all[3], all[4]) == 0);
    assert_string_equal(all[5], "");
}

static void whatever_fails_for_once_is_asked_again(void **state)
{
    static const char *const faults[] = {
        RESETS,         "408 Request Timeout",     "429 Too Many Requests", "500 Internal Server Error",
        IN_TWO_SECONDS, "503 Service Unavailable", "502 Bad Gateway",       "504 Gateway Timeout"};
    Row rows[G_N_ELEMENTS(exchanges) * G_N_ELEMENTS(faults)] = {0};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        rows[i].exchange = &exchanges[i / G_N_ELEMENTS(faults)];
        rows[i].faulty.fault = faults[i % G_N_ELEMENTS(faults)];
        rows[i].faulty.realm = "/token";
        rows[i].patience = 10;
    }
    run_rows(rows, G_N_ELEMENTS(rows));
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!rows[i].ok) {
            fail_msg("%s, %s: %s", rows[i].exchange->name, rows[i].faulty.fault, rows[i].error->message);
        }
        assert_in_range(rows[i].most, 2, 4);
    }
}

static void what_fails_for_good_has_an_end(void **state)
{
    static const struct {
        const char *fault;
        guint patience, asked;
    } cases[] = {{RESETS, 60, 4},
                 {"500 Internal Server Error", 60, 4},
                 {"503 Service Unavailable", 4, 3},
                 {"429 Too Many Requests", 4, 3},
                 {"500 Internal Server Error", 0, 1},
                 {RESETS, 0, 1},
                 {"400 Bad Request", 60, 1},
                 {"403 Forbidden", 60, 1},
                 {"501 Not Implemented", 60, 1},
                 {"507 Insufficient Storage", 60, 1}};
    static const guint which[] = {1, 3, 6, 7, 8, 11}; /* of the exchanges: those that ask for one thing */
    Row rows[G_N_ELEMENTS(cases) * G_N_ELEMENTS(which)] = {0};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        rows[i].exchange = &exchanges[which[i % G_N_ELEMENTS(which)]];
        rows[i].faulty.fault = cases[i / G_N_ELEMENTS(which)].fault;
        rows[i].faulty.always = TRUE;
        rows[i].patience = cases[i / G_N_ELEMENTS(which)].patience;
    }
    run_rows(rows, G_N_ELEMENTS(rows));
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        assert_false(rows[i].ok);
        assert_non_null(rows[i].error);
        g_clear_error(&rows[i].error);
        assert_int_equal(rows[i].most, cases[i / G_N_ELEMENTS(which)].asked);
    }
}

typedef gboolean (*Getter)(IngotRemote *remote, const IngotDigest *digest, char *into, guint64 *received,
                           GError **error);

static gboolean get_one_range(IngotRemote *remote, const IngotDigest *digest, char *into, guint64 *received,
                              GError **error)
{
    const IngotRange range = {.offset = 4, .length = 20};
    return ingot_remote_get_ranges(remote, "a", digest, strlen(BLOB), &range, 1, take, into, received, error);
}

static gboolean get_one_stream(IngotRemote *remote, const IngotDigest *digest, char *into, guint64 *received,
                               GError **error)
{
    return ingot_remote_stream(remote, "a", digest, 4, 20, take, into, received, error);
}

static void a_transfer_goes_on_where_it_broke_off(void **state)
{
    static const Getter getters[] = {get_one_range, get_one_stream};
    const IngotDigest digest = digest_of_blob();
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(getters); i++) {
        char into[sizeof BLOB] = "";
        guint64 received = 0;
        Faulty faulty = {.most = 7};
        g_autoptr(GError) error = NULL;
        Serve *serve = faulty_serve(&faulty);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        ingot_remote_limit(remote, 5, 5, 10);
        if (!getters[i](remote, &digest, into, &received, &error)) {
            fail_msg("%s", error->message);
        }
        assert_memory_equal(into + 4, BLOB + 4, 20);
        assert_int_equal(received, 20);
        assert_string_equal(faulty.ranges->str, "4-23,11-23,18-23,");
        serve_free(serve);
        faulty_clear(&faulty);
    }
}

/* Such bytes would be found out in the end, and all that has come thrown away. */
static void another_range_is_none(void **state)
{
    const IngotDigest digest = digest_of_blob();
    char into[sizeof BLOB] = "";
    Faulty faulty = {.shifts = 2};
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = faulty_serve(&faulty);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    if (!get_one_range(remote, &digest, into, NULL, &error)) {
        fail_msg("%s", error->message);
    }
    assert_memory_equal(into + 4, BLOB + 4, 20);
    assert_string_equal(faulty.ranges->str, "4-23,");
    serve_free(serve);
    faulty_clear(&faulty);
}

#define RANGES 18
#define APART 20000u /* bytes from one range to the next: too far to ask for both at once */

/* Serves the second range once nearly all others have gone, one after the other. */
static char *serve_few(const char *request, gsize sent, gpointer user)
{
    guint *served = user;
    (void)sent;
    guint first = (guint)g_ascii_strtoull(strstr(request, "Range: bytes=") + strlen("Range: bytes="), NULL, 10);
    if (first == APART && *served < RANGES - 2) {
        return serve_text("503 Service Unavailable", "", "");
    }
    g_usleep(200 * G_TIME_SPAN_MILLISECOND);
    ++*served;
    g_autofree char *place = g_strdup_printf("Content-Range: bytes %u-%u/%u\r\n", first, first, RANGES * APART);
    const char byte[] = {BLOB[first / APART], '\0'};
    return serve_text("206 Partial Content", place, byte);
}

static gboolean take_far(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    (void)error;
    memcpy((char *)user + offset / APART, data, size);
    return TRUE;
}

/* Of four connections the registry serves as many as it likes: the rest may wait for as long as one brings something.
 */
static void one_connection_may_do(void **state)
{
    const IngotDigest digest = digest_of_blob();
    IngotRange ranges[RANGES];
    char into[sizeof BLOB] = "";
    guint served = 0;
    g_autoptr(GError) error = NULL;
    (void)state;
    for (guint i = 0; i < RANGES; i++) {
        ranges[i] = (IngotRange){.offset = (guint64)i * APART, .length = 1};
    }
    Serve *serve = serve_new(serve_few, &served);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_limit(remote, 30, 30, 1);
    if (!ingot_remote_get_ranges(remote, "a", &digest, (guint64)RANGES * APART, ranges, RANGES, take_far, into, NULL,
                                 &error)) {
        fail_msg("%s", error->message);
    }
    for (guint i = 0; i < RANGES; i++) {
        assert_int_equal(into[i], BLOB[i]);
    }
    serve_free(serve);
}

/* It begins at the blob's first byte each time, and comes a little farther. */
static char *come_farther(const char *request, gsize sent, gpointer user)
{
    Faulty *faulty = user;
    (void)sent;
    faulty->most += 20;
    return blob_answer(faulty, request);
}

static void one_that_ignores_ranges_is_read_through(void **state)
{
    const IngotDigest digest = digest_of_blob();
    char into[sizeof BLOB] = "";
    Faulty faulty = {.ignores = TRUE};
    g_autoptr(GError) error = NULL;
    (void)state;
    faulty.ranges = g_string_new(NULL);
    Serve *serve = serve_new(come_farther, &faulty);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_limit(remote, 5, 5, 10);
    if (!ingot_remote_stream(remote, "a", &digest, 0, 0, take, into, NULL, &error)) {
        fail_msg("%s", error->message);
    }
    assert_string_equal(into, BLOB);
    serve_free(serve);
    g_string_free(faulty.ranges, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_fails_for_once_is_asked_again),
        cmocka_unit_test(a_change_that_goes_out_again_has_the_same_key),
        cmocka_unit_test(what_fails_for_good_has_an_end),
        cmocka_unit_test(a_transfer_goes_on_where_it_broke_off),
        cmocka_unit_test(another_range_is_none),
        cmocka_unit_test(one_connection_may_do),
        cmocka_unit_test(one_that_ignores_ranges_is_read_through),
    };
    g_setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", TRUE);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

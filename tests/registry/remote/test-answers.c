/* What a registry answers is taken as what it says: a refusal by its status whatever its body is, one of another place
 * as no word of the registry's, and "later" in the midst of an upload as leave to begin another. */
#include "serve.h"

#include "base/file.h"
#include "remote/ours.h"
#include "remote/relay.h"

#define NAMES 300 /* more than are remembered */

typedef struct {
    gsize size; /* of the page that comes with a refusal */
    gint asked; /* atomic */
} Pages;

static char *refuse_at_length(const char *request, gsize sent, gpointer user)
{
    Pages *pages = user;
    (void)request, (void)sent;
    g_autofree char *page = g_strnfill(pages->size, 'x');
    if (g_atomic_int_add(&pages->asked, 1) == 0) {
        return serve_text("503 Service Unavailable", "Retry-After: 1\r\n", page);
    }
    return serve_text("404 Not Found", "", page);
}

static gboolean take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    (void)offset, (void)data, (void)size, (void)user, (void)error;
    return TRUE;
}

static gboolean get_stream(IngotRemote *remote, GError **error)
{
    const IngotDigest digest = {0};
    return ingot_remote_stream(remote, "team/web", &digest, 0, 0, take, NULL, NULL, error);
}

static gboolean get_ranges(IngotRemote *remote, GError **error)
{
    const IngotRange range = {.offset = 10, .length = 20};
    const IngotDigest digest = {0};
    return ingot_remote_get_ranges(remote, "team/web", &digest, 100, &range, 1, take, NULL, NULL, error);
}

static gboolean get_size(IngotRemote *remote, GError **error)
{
    const IngotDigest digest = {0};
    guint64 size;
    return ingot_remote_blob_size(remote, "team/web", &digest, &size, error);
}

static gboolean get_blob(IngotRemote *remote, GError **error)
{
    const IngotDigest digest = {0};
    g_autoptr(GBytes) bytes = ingot_remote_get_blob(remote, "team/web", &digest, 10, error);
    return bytes != NULL;
}

/* Longer than the range, and than any page that is read. */
static void a_refusal_may_have_a_long_page(void **state)
{
    static gboolean (*const gets[])(IngotRemote *, GError **) = {get_stream, get_ranges, get_blob};
    static const gsize sizes[] = {2000, 1 << 20};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(gets) * G_N_ELEMENTS(sizes); i++) {
        Pages pages = {.size = sizes[i % G_N_ELEMENTS(sizes)]};
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(refuse_at_length, &pages);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        ingot_remote_limit(remote, 5, 5, 5);
        assert_false(gets[i / G_N_ELEMENTS(sizes)](remote, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
        assert_int_equal(pages.asked, 2); /* after a while, as it was told */
        serve_free(serve);
    }
}

static char *forbid(const char *request, gsize sent, gpointer user)
{
    const char *elsewhere = user;
    (void)request, (void)sent;
    g_autofree char *location = elsewhere == NULL ? g_strdup("") : g_strdup_printf("Location: %s/x\r\n", elsewhere);
    return serve_text(elsewhere == NULL ? "403 Forbidden" : "307 Temporary Redirect", location, "");
}

/* The registry refuses, or the place does that it leads to. */
static void only_the_registry_refuses(void **state)
{
    const IngotRange range = {.offset = 10, .length = 20};
    const IngotDigest digest = {0};
    guint64 size;
    (void)state;
    Serve *place = serve_new(forbid, NULL);
    for (gint led = FALSE; led <= TRUE; led++) {
        IngotRemoteEnd expected = led ? INGOT_REMOTE_OTHERWISE : INGOT_REMOTE_REFUSED;
        Serve *serve = serve_new(forbid, led ? place->where : NULL);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        assert_false(ingot_remote_blob_size(remote, "team/web", &digest, &size, NULL));
        assert_int_equal(ingot_remote_ended(remote), expected);
        assert_false(ingot_remote_stream(remote, "team/web", &digest, 0, 0, take, NULL, NULL, NULL));
        assert_int_equal(ingot_remote_ended(remote), expected);
        assert_false(ingot_remote_get_ranges(remote, "team/web", &digest, 100, &range, 1, take, NULL, NULL, NULL));
        assert_int_equal(ingot_remote_ended(remote), expected);
        serve_free(serve);
    }
    serve_free(place);
}

static char *tell_frames(const char *request, gsize sent, gpointer user)
{
    const char *status = user;
    (void)sent;
    return g_str_has_prefix(request, "HEAD") ? serve_text("200 OK", "Ingot-Frames: /frames\r\n", "")
                                             : serve_text(status, "", "a list");
}

/* A copy of the whole costs hours where the frames cost a minute: a busy registry is no reason for one. */
static void one_that_is_busy_does_not_lack_frames(void **state)
{
    static const struct {
        const char *status;
        gboolean known, told;
    } rows[] = {
        {"200 OK", TRUE, TRUE},
        {"404 Not Found", TRUE, FALSE},
        {"403 Forbidden", TRUE, FALSE},
        {"501 Not Implemented", TRUE, FALSE},
        {"401 Unauthorized", FALSE, FALSE},
        {"429 Too Many Requests", FALSE, FALSE},
        {"500 Internal Server Error", FALSE, FALSE},
        {"503 Service Unavailable", FALSE, FALSE},
    };
    const IngotDigest digest = {0};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GBytes) frames = NULL;
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(tell_frames, (gpointer)rows[i].status);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        assert_int_equal(ingot_remote_get_frames(remote, "team/web", &digest, &frames, &error), rows[i].known);
        assert_int_equal(error == NULL, rows[i].known);
        assert_int_equal(frames != NULL, rows[i].told);
        serve_free(serve);
    }
}

typedef struct {
    gint begun, taken; /* atomic: uploads; the upload that was taken whole */
    gint dropped;      /* the one that was */
    gsize size;
} Uploads;

/* The first upload is to come later, although its bytes were read. */
static char *take_upload(const char *request, gsize sent, gpointer user)
{
    Uploads *uploads = user;
    if (g_str_has_prefix(request, "POST")) {
        g_autofree char *location =
            g_strdup_printf("Location: /v2/team/web/blobs/uploads/%d\r\n", g_atomic_int_add(&uploads->begun, 1) + 1);
        return serve_text("202 Accepted", location, "");
    }
    if (g_str_has_prefix(request, "DELETE")) {
        g_atomic_int_set(&uploads->dropped, strstr(request, "/uploads/1 ") != NULL ? 1 : -1);
        return serve_text("204 No Content", "", "");
    }
    assert_int_equal(sent, uploads->size);
    if (strstr(request, "/uploads/1?") != NULL) {
        return serve_text("503 Service Unavailable", "Retry-After: 1\r\n", "");
    }
    g_atomic_int_set(&uploads->taken, strstr(request, "/uploads/2?") != NULL ? 2 : -1);
    return serve_text("201 Created", "", "");
}

static void an_upload_is_not_sent_twice(void **state)
{
    static const char text[] = "bytes of a blob";
    IngotWorkdir *folder = ingot_workdir_new(NULL);
    g_autofree char *path = ingot_workdir_file(folder, "blob");
    g_autoptr(GError) error = NULL;
    Uploads uploads = {.size = strlen(text)};
    IngotDescriptor blob = {.size = strlen(text)};
    (void)state;
    assert_true(ingot_file_replace(path, text, strlen(text), 0600, NULL));
    ingot_digest_of(text, strlen(text), &blob.digest);
    Serve *serve = serve_new(take_upload, &uploads);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_limit(remote, 5, 5, 5);
    if (!ingot_remote_put_blob(remote, "team/web", path, &blob, NULL, &error)) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(uploads.begun, 2);
    assert_int_equal(uploads.taken, 2);
    assert_int_equal(uploads.dropped, 1);
    serve_free(serve);
    ingot_workdir_free(folder);
}

static char *ask_to_wait(const char *request, gsize sent, gpointer user)
{
    (void)request, (void)sent;
    g_atomic_int_set((gint *)user, TRUE);
    return serve_text("429 Too Many Requests", "Retry-After: 60\r\n", "");
}

typedef struct {
    gint asked;   /* atomic: the registry has been */
    gint64 since; /* when that was first seen */
} Waiting;

/* It is wanted until a moment after the registry has answered. */
static gboolean is_wanted(gpointer user, GError **error)
{
    Waiting *waiting = user;
    gint64 now = g_get_monotonic_time();
    if (waiting->since == 0 && g_atomic_int_get(&waiting->asked)) {
        waiting->since = now;
    }
    if (waiting->since == 0 || now - waiting->since < G_TIME_SPAN_SECOND) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED, "nobody wants it any more");
    return FALSE;
}

/* Long before the minute that the registry asks for. */
static void whoever_waits_for_nobody_stops(void **state)
{
    static gboolean (*const gets[])(IngotRemote *, GError **) = {get_stream, get_ranges, get_size};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(gets); i++) {
        gint64 began = g_get_monotonic_time();
        Waiting waiting = {0};
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(ask_to_wait, &waiting.asked);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        ingot_remote_limit(remote, 5, 5, 120);
        ingot_remote_while(remote, is_wanted, &waiting);
        assert_false(gets[i](remote, &error));
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED));
        assert_true(g_get_monotonic_time() - began < 30 * G_TIME_SPAN_SECOND);
        serve_free(serve);
    }
}

typedef struct {
    char *where; /* of tokens */
    gint bare;   /* atomic: requests without one */
} Login;

static char *ask_for_login(const char *request, gsize sent, gpointer user)
{
    Login *login = user;
    (void)sent;
    if (g_str_has_prefix(request, "GET /token")) {
        return serve_text("200 OK", "", "{\"token\":\"abc\",\"expires_in\":3600}");
    }
    if (strstr(request, "Authorization: Bearer abc") != NULL) {
        return serve_text("200 OK", "", "{\"tags\":[]}");
    }
    g_atomic_int_inc(&login->bare);
    g_autofree char *challenge = g_strdup_printf("WWW-Authenticate: Bearer realm=\"%s/token\"\r\n", login->where);
    return serve_text("401 Unauthorized", challenge, "");
}

static void ask_tags(IngotRemote *remote, guint number)
{
    g_autofree char *name = g_strdup_printf("team/n%u", number);
    g_autoptr(GError) error = NULL;
    g_auto(GStrv) tags = ingot_remote_list_tags(remote, name, &error);
    if (tags == NULL) {
        fail_msg("%s", error->message);
    }
}

static void logins_of_many_names_are_not_kept_for_ever(void **state)
{
    Login login = {0};
    (void)state;
    Serve *serve = serve_new(ask_for_login, &login);
    login.where = serve->where;
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    for (guint i = 0; i < NAMES; i++) {
        ask_tags(remote, i);
    }
    assert_int_equal(login.bare, NAMES);
    ask_tags(remote, NAMES - 1);
    assert_int_equal(login.bare, NAMES);
    ask_tags(remote, 0);
    assert_int_equal(login.bare, NAMES + 1);
    serve_free(serve);
}

/* Bytes come all the while, but for hours. */
static void an_answer_that_trickles_has_an_end(void **state)
{
    Pages pages = {.size = 2000, .asked = 1};
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = serve_new(refuse_at_length, &pages);
    serve->pause = 50 * G_TIME_SPAN_MILLISECOND;
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_limit(remote, 5, 1, 0);
    assert_null(ingot_remote_list_tags(remote, "team/web", &error));
    assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NETWORK));
    assert_int_equal(ingot_remote_ended(remote), INGOT_REMOTE_OTHERWISE);
    g_clear_pointer(&remote, ingot_remote_free);
    serve_free(serve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_may_have_a_long_page),
        cmocka_unit_test(only_the_registry_refuses),
        cmocka_unit_test(one_that_is_busy_does_not_lack_frames),
        cmocka_unit_test(an_upload_is_not_sent_twice),
        cmocka_unit_test(whoever_waits_for_nobody_stops),
        cmocka_unit_test(an_answer_that_trickles_has_an_end),
        cmocka_unit_test(logins_of_many_names_are_not_kept_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

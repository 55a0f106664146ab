/* A blob on its way to a registry: in the way that the registry takes, and no byte twice of what it has. */
#include "serve.h"

#define SIZE (9u << 20) /* goes in pieces */
#define SMALL 1000u     /* in one request */

typedef struct {
    guint64 size;
    const char *piece, *piece_headers; /* the first answer to a piece; NULL: as to the others */
    guint64 most, least;               /* bytes of a piece that it takes; 0: as many as there are */
    guint64 breaks_at;                 /* bytes of the first piece's body after which it hangs up; 0: it does not */
    gboolean forgets;                  /* what came then */
    const char *no_pieces, *no_whole;  /* status with which it refuses them */
    gboolean loses_answer;             /* to the first end, which it has done */
    gulong late;                       /* microseconds before the answer to an end */
    guint64 has;                       /* bytes of the upload */
    guint begun, pieces, ends;
    gboolean is_there; /* the blob */
    GString *log; /* of each request a letter: P begun, C piece, with where it begins in KiB, S whole, E ended, G where
                   * it is, H whether the blob is there, D dropped */
    Serve *serve;
} Registry;

static char *position_headers(const Registry *registry)
{
    return g_strdup_printf("Location: /v2/a/blobs/uploads/%u\r\nRange: 0-%" G_GUINT64_FORMAT "\r\n", registry->begun,
                           registry->has == 0 ? 0 : registry->has - 1);
}

static char *begin(Registry *registry)
{
    registry->begun++;
    registry->has = 0;
    g_autofree char *least = registry->least == 0
                                 ? g_strdup("")
                                 : g_strdup_printf("OCI-Chunk-Min-Length: %" G_GUINT64_FORMAT "\r\n", registry->least);
    g_autofree char *headers = g_strdup_printf("Location: /v2/a/blobs/uploads/%u\r\n%s", registry->begun, least);
    return serve_text("202 Accepted", headers, "");
}

static char *take_piece(Registry *registry, guint64 from, guint64 length, gsize sent)
{
    gboolean first = registry->pieces++ == 0;
    if (registry->no_pieces != NULL) {
        return serve_text(registry->no_pieces, "", "");
    }
    if (registry->most > 0 && length > registry->most) {
        return serve_text("413 Payload Too Large", "", "");
    }
    if (first && registry->piece != NULL) {
        return serve_text(registry->piece, registry->piece_headers, "");
    }
    assert_int_equal(from, registry->has);
    assert_true(length >= registry->least || from + length == registry->size);
    registry->has += sent;
    registry->serve->most = 0;
    if (sent < length) {
        registry->has = registry->forgets ? 0 : registry->has;
        return NULL;
    }
    g_autofree char *headers = position_headers(registry);
    return serve_text("202 Accepted", headers, "");
}

static char *end(Registry *registry, gsize sent)
{
    gboolean first = registry->ends++ == 0;
    if (sent > 0 && registry->no_whole != NULL) {
        return serve_text(registry->no_whole, "", "");
    }
    if (registry->is_there) { /* the upload is no more */
        return serve_text("404 Not Found", "", "");
    }
    registry->is_there = registry->has + sent == registry->size;
    g_usleep(registry->late);
    return first && registry->loses_answer ? NULL
                                           : serve_text(registry->is_there ? "201 Created" : "400 Bad Request", "", "");
}

static char *answer(const char *request, gsize sent, gpointer user)
{
    Registry *registry = user;
    gboolean has_body = strstr(request, "Content-Length: 0\r\n") == NULL && strstr(request, "Content-Length: ") != NULL;
    const char *range = strstr(request, "Content-Range: ");
    g_string_append(registry->log, registry->log->len == 0 ? "" : " ");
    if (g_str_has_prefix(request, "POST")) {
        g_string_append_c(registry->log, 'P');
        return begin(registry);
    }
    if (g_str_has_prefix(request, "PATCH")) {
        char *last;
        guint64 from = g_ascii_strtoull(range + strlen("Content-Range: "), &last, 10);
        g_string_append_printf(registry->log, "C%" G_GUINT64_FORMAT, from >> 10);
        return take_piece(registry, from, g_ascii_strtoull(last + 1, NULL, 10) + 1 - from, sent);
    }
    if (g_str_has_prefix(request, "PUT")) {
        g_string_append_c(registry->log, has_body ? 'S' : 'E');
        return end(registry, sent);
    }
    if (g_str_has_prefix(request, "DELETE")) {
        g_string_append_c(registry->log, 'D');
        return serve_text("204 No Content", "", "");
    }
    g_string_append_c(registry->log, g_str_has_prefix(request, "HEAD") ? 'H' : 'G');
    if (g_str_has_prefix(request, "HEAD")) {
        return serve_text(registry->is_there ? "200 OK" : "404 Not Found", "", "");
    }
    g_autofree char *headers = position_headers(registry);
    return registry->forgets ? serve_text("404 Not Found", "", "") : serve_text("204 No Content", headers, "");
}

static gboolean push(Registry *registry, guint stall, GError **error)
{
    g_autofree char *path = NULL;
    g_autofree guint8 *bytes = g_malloc0(registry->size);
    IngotDescriptor blob = {.size = registry->size};
    int fd = g_file_open_tmp("ingot-test-XXXXXX", &path, NULL);
    assert_int_equal(write(fd, bytes, registry->size), registry->size);
    ingot_digest_of(bytes, registry->size, &blob.digest);
    registry->log = g_string_new(NULL);
    registry->serve = serve_new(answer, registry);
    registry->serve->most = registry->breaks_at;
    g_autoptr(IngotRemote) remote = serve_remote(registry->serve);
    ingot_remote_limit(remote, 5, stall, 10);
    gboolean ok = ingot_remote_put_blob(remote, "a", path, &blob, NULL, error);
    serve_free(registry->serve);
    close(fd);
    unlink(path);
    return ok;
}

static void expect(Registry registry, guint stall, gboolean wanted, const char *log)
{
    g_autoptr(GError) error = NULL;
    gboolean ok = push(&registry, stall, &error);
    if (ok != wanted || strcmp(registry.log->str, log) != 0) {
        fail_msg("wanted '%s', got '%s': %s", log, registry.log->str, ok ? "done" : error->message);
    }
    assert_int_equal(registry.is_there, wanted);
    g_string_free(registry.log, TRUE);
}

static void small_ones_go_whole_and_large_ones_as_one_piece(void **state)
{
    (void)state;
    expect((Registry){.size = SMALL}, 5, TRUE, "P S");
    expect((Registry){.size = SIZE}, 5, TRUE, "P C0 E");
}

static void each_goes_the_way_that_is_taken(void **state)
{
    (void)state;
    expect((Registry){.size = SMALL, .no_whole = "405 Method Not Allowed"}, 5, TRUE, "P S D P C0 E");
    expect((Registry){.size = SIZE, .no_pieces = "405 Method Not Allowed"}, 5, TRUE, "P C0 D P S");
    expect((Registry){.size = SIZE, .no_pieces = "404 Not Found"}, 5, TRUE, "P C0 D P S");
    expect((Registry){.size = SIZE, .no_pieces = "405 Method Not Allowed", .no_whole = "405 Method Not Allowed"}, 5,
           FALSE, "P C0 D P S D");
    expect((Registry){.size = SIZE, .no_pieces = "403 Forbidden"}, 5, FALSE, "P C0 D");
}

static void pieces_are_as_long_as_is_taken(void **state)
{
    (void)state;
    expect((Registry){.size = SIZE, .most = 8u << 20}, 5, TRUE, "P C0 C0 C8192 E");
    expect((Registry){.size = SIZE, .most = SIZE - 1, .least = 2u << 20}, 5, TRUE, "P C0 C0 C8192 E");
    expect((Registry){.size = SIZE, .least = 16u << 20}, 5, TRUE, "P C0 E");
    expect((Registry){.size = SIZE, .most = 1000}, 5, FALSE, "P C0 C0 C0 D");
    expect((Registry){.size = SIZE, .most = 8u << 20, .least = (8u << 20) + 1}, 5, FALSE, "P C0 D");
}

static void what_came_is_not_sent_again(void **state)
{
    (void)state;
    /* Looked at, whether the login was why; then, where it is. */
    expect((Registry){.size = SIZE, .breaks_at = 4u << 20}, 5, TRUE, "P C0 G G C4096 E");
    expect((Registry){.size = SIZE, .breaks_at = 4u << 20, .forgets = TRUE}, 5, TRUE, "P C0 G G D P C0 E");
    expect((Registry){.size = SIZE, .piece = "416 Range Not Satisfiable", .piece_headers = "Range: 0-0\r\n"}, 5, TRUE,
           "P C0 C0 E");
    expect((Registry){.size = SIZE, .piece = "416 Range Not Satisfiable", .piece_headers = ""}, 5, TRUE, "P C0 G C0 E");
    expect((Registry){.size = SIZE, .piece = "503 Service Unavailable", .piece_headers = ""}, 5, TRUE, "P C0 G C0 E");
}

static void an_end_that_was_done_is_done(void **state)
{
    (void)state;
    expect((Registry){.size = SIZE, .loses_answer = TRUE}, 5, TRUE, "P C0 E E H");
    expect((Registry){.size = SMALL, .loses_answer = TRUE}, 5, TRUE, "P S G H");
}

static void an_end_may_take_long(void **state)
{
    (void)state;
    expect((Registry){.size = SIZE, .late = 3 * G_TIME_SPAN_SECOND}, 1, TRUE, "P C0 E");
    expect((Registry){.size = SMALL, .late = 8 * G_TIME_SPAN_SECOND}, 1, TRUE, "P S G H");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_ones_go_whole_and_large_ones_as_one_piece),
        cmocka_unit_test(each_goes_the_way_that_is_taken),
        cmocka_unit_test(pieces_are_as_long_as_is_taken),
        cmocka_unit_test(what_came_is_not_sent_again),
        cmocka_unit_test(an_end_that_was_done_is_done),
        cmocka_unit_test(an_end_may_take_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The events of a registry, and what is no such answer: a page for any path, of a login, say. */
#include "serve.h"

#include "remote/events.h"

typedef struct {
    const char *status, *type, *body;
    char *location; /* where any other path than /page leads; NULL: nowhere */
} Answer;

static char *give(const char *request, gsize sent, gpointer user)
{
    const Answer *answer = user;
    (void)sent;
    if (answer->location != NULL && !g_str_has_prefix(request, "GET /page ")) {
        return serve_text("302 Found", answer->location, "elsewhere");
    }
    g_autofree char *type = g_strdup_printf("Content-Type: %s\r\n", answer->type);
    return serve_text(answer->status, type, answer->body);
}

static gboolean count_line(const char *line, gpointer user)
{
    (void)line;
    return ++*(guint *)user < 3;
}

/* The lines that came. */
static guint hear(Answer answer, gboolean redirected, gboolean *ended, GError **error)
{
    guint lines = 0;
    Serve *serve = serve_new(give, &answer);
    g_autofree char *location = g_strdup_printf("Location: %s/page\r\n", serve->where);
    answer.location = redirected ? location : NULL;
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    *ended = remote_events(remote, "team/web", count_line, &lines, error);
    serve_free(serve);
    return lines;
}

static void events_come_line_by_line(void **state)
{
    gboolean ended;
    (void)state;
    const Answer two = {"200 OK", "application/jsonl", "{\"number\":7}\n\n"};
    assert_int_equal(hear(two, FALSE, &ended, NULL), 2);
    assert_true(ended);
    const Answer more = {"200 OK", "application/jsonl; charset=utf-8", "{\"number\":7}\n\n\n\n\n"};
    assert_int_equal(hear(more, FALSE, &ended, NULL), 3); /* that was enough */
    assert_true(ended);
}

static void a_page_is_no_event(void **state)
{
    static const Answer answers[] = {
        {"200 OK", "text/html", "<html>\n<p>Who are you?\n</html>\n"},
        {"200 OK", "text/html", "{\"number\":7}\n"},
        {"200 OK", "application/jsonlines", "{\"number\":7}\n"},
        {"200 OK", "application/jsonl", "{\"n\":7}\n"},
        {"200 OK", "application/jsonl", "\n{\"number\":7}\n"},
        {"200 OK", "application/jsonl", ""},
        {"404 Not Found", "text/html", "{\"number\":7}\n"},
    };
    (void)state;
    for (guint i = 0; i < 2 * G_N_ELEMENTS(answers); i++) {
        g_autoptr(GError) error = NULL;
        gboolean ended;
        assert_int_equal(hear(answers[i / 2], i % 2 == 1, &ended, &error), 0);
        assert_false(ended);
        assert_true(g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_line_by_line),
        cmocka_unit_test(a_page_is_no_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

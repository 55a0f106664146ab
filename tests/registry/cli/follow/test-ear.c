/* A follower's ear: whatever is answered, it is not asked for again and again without a pause. */
#include "../../remote/serve.h"

#include "cli/follow/ear.h"

typedef struct {
    const char *type, *body;
    gint asked; /* atomic */
} Door;

static char *give(const char *request, gsize sent, gpointer user)
{
    Door *door = user;
    (void)request;
    (void)sent;
    g_atomic_int_inc(&door->asked);
    g_autofree char *type = g_strdup_printf("Content-Type: %s\r\n", door->type);
    return serve_text("200 OK", type, door->body);
}

/* Without a pause it would be thousands in that time; with one, two or three. */
static void asks_now_and_then(Door *door)
{
    Serve *serve = serve_new(give, door);
    g_autoptr(Ear) ear = ear_new(serve->where, "team/web", "prod", NULL);
    assert_non_null(ear);
    assert_true(ear_wait(ear, 30 * G_TIME_SPAN_SECOND)); /* the channel is looked at all the same */
    g_usleep(G_USEC_PER_SEC);
    assert_in_range(g_atomic_int_get(&door->asked), 1, 10);
    g_clear_pointer(&ear, ear_free);
    serve_free(serve);
}

static void a_page_is_asked_for_with_pauses(void **state)
{
    (void)state;
    asks_now_and_then(&(Door){.type = "text/html", .body = "<html>\n<p>Who are you?\n</html>\n"});
}

static void an_answer_that_ends_at_once_is_asked_for_with_pauses(void **state)
{
    (void)state;
    asks_now_and_then(&(Door){.type = "application/jsonl", .body = "{\"number\":7}\n"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_asked_for_with_pauses),
        cmocka_unit_test(an_answer_that_ends_at_once_is_asked_for_with_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

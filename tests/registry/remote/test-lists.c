/* Lists of a registry: all of it or an error, never a part that looks like the whole, and in bounded memory. */
#include "base/json.h"
#include "serve.h"

#define MANY 300000 /* values, on one page */

/* What the registry answers to the first page, and to the page behind "?last=1". */
typedef struct {
    const char *status, *link, *first;
    const char *second;
    gint asked; /* atomic: for the second page */
} Pages;

static char *answer(const char *request, gsize sent, gpointer user)
{
    Pages *pages = user;
    (void)sent;
    if (strstr(request, "/manifests/") != NULL) {
        return serve_text("404 Not Found", "", "");
    }
    if (strstr(request, "?last=1") != NULL) {
        g_atomic_int_inc(&pages->asked);
        return serve_text("200 OK", "", pages->second);
    }
    g_autofree char *link = pages->link == NULL ? g_strdup("") : g_strdup_printf("Link: %s\r\n", pages->link);
    return serve_text(pages->status == NULL ? "200 OK" : pages->status, link, pages->first);
}

/* The tags, with commas between; NULL: an error. */
static char *tags_of(Pages *pages, GError **error)
{
    Serve *serve = serve_new(answer, pages);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_auto(GStrv) tags = ingot_remote_list_tags(remote, "team/web", error);
    serve_free(serve);
    return tags == NULL ? NULL : g_strjoinv(",", tags);
}

/* Whatever the registry takes itself for, the next page is asked for where the first one was. */
static void the_next_page_is_at_the_same_registry(void **state)
{
    static const char *const links[] = {
        "</v2/team/web/tags/list?last=1>; rel=\"next\"",
        "<?last=1>; rel=next",
        "<http://127.0.0.1/v2/team/web/tags/list?last=1>; rel=\"next\"",
        "<https://127.0.0.1:5000/v2/team/web/tags/list?last=1>; rel=\"next\"",
        "<http://registry.internal:5000/v2/team/web/tags/list?last=1>; rel=\"next\"",
        "</v2/team/web/tags/list?last=0>; rel=\"prev\", </v2/team/web/tags/list?last=1>; rel=\"next\"",
        "</v2/team/web/tags/list?last=1>; rel=\"next\"\r\nLink: <https://docs.example/>; rel=\"help\"",
        "<https://docs.example/>; rel=\"help\"\r\nLink: </v2/team/web/tags/list?last=1>; rel=\"next\"",
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(links); i++) {
        Pages pages = {.link = links[i], .first = "{\"tags\":[\"1\",\"2\"]}", .second = "{\"tags\":[\"3\"]}"};
        g_autoptr(GError) error = NULL;
        g_autofree char *tags = tags_of(&pages, &error);
        if (tags == NULL) {
            fail_msg("%s: %s", links[i], error->message);
        }
        assert_string_equal(tags, "1,2,3");
        assert_int_equal(pages.asked, 1);
    }
}

/* The first of two answers has a link, and leads to the second, which has none. */
static char *redirect(const char *request, gsize sent, gpointer user)
{
    (void)sent, (void)user;
    return strstr(request, "/elsewhere") != NULL
               ? serve_text("200 OK", "", "{\"tags\":[\"1\"]}")
               : serve_text("307 Temporary Redirect",
                            "Location: /elsewhere\r\nLink: </v2/team/web/tags/list?last=1>; rel=\"next\"\r\n", "");
}

static void a_redirection_says_nothing_of_the_list(void **state)
{
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = serve_new(redirect, NULL);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_auto(GStrv) tags = ingot_remote_list_tags(remote, "team/web", &error);
    if (tags == NULL) {
        fail_msg("%s", error->message);
    }
    assert_int_equal(g_strv_length(tags), 1);
    serve_free(serve);
}

static void a_list_that_goes_on_elsewhere_is_none(void **state)
{
    Pages pages = {.link = "<https://elsewhere.example/tags?last=1>; rel=\"next\"",
                   .first = "{\"tags\":[\"1\"],\"manifests\":[]}"};
    g_autoptr(GError) error = NULL;
    const IngotDigest digest = {0};
    (void)state;
    assert_null(tags_of(&pages, &error));
    assert_non_null(strstr(error->message, "https://elsewhere.example/tags"));
    Serve *serve = serve_new(answer, &pages);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    assert_null(ingot_remote_referrers(remote, "team/web", &digest, NULL));
    serve_free(serve);
}

/* It would be asked for again and again. */
static void a_page_that_follows_itself_is_refused(void **state)
{
    Pages pages = {.link = "</v2/team/web/tags/list>; rel=\"next\"", .first = "{\"tags\":[\"1\"]}"};
    g_autoptr(GError) error = NULL;
    (void)state;
    assert_null(tags_of(&pages, &error));
    assert_non_null(strstr(error->message, "/team/web: its tags: "));
    assert_non_null(strstr(error->message, "no end"));
}

static void what_is_no_list_is_not_an_empty_one(void **state)
{
    static const char *const none[] = {"{}", "{\"errors\":[]}", "{\"tags\":{}}", "{\"tags\":[1]}", "[]", "<html>"};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(none); i++) {
        Pages pages = {.first = none[i]};
        g_autoptr(GError) error = NULL;
        assert_null(tags_of(&pages, &error));
        assert_non_null(error);
    }
    Pages empty = {.first = "{\"name\":\"team/web\",\"tags\":null}"};
    g_autofree char *tags = tags_of(&empty, NULL);
    assert_string_equal(tags, "");
}

/* A registry that has no list now does not say that nothing is attached; one that knows of none does. */
static void what_is_attached_is_known_or_not(void **state)
{
    static const struct {
        const char *status, *body;
        gboolean known;
    } rows[] = {
        {"200 OK", "{\"manifests\":[]}", TRUE},
        {"404 Not Found", "", TRUE},
        {"200 OK", "<html>", TRUE},
        {"501 Not Implemented", "", TRUE},
        {"500 Internal Server Error", "", FALSE},
        {"503 Service Unavailable", "", FALSE},
        {"502 Bad Gateway", "", FALSE},
        {"504 Gateway Time-out", "", FALSE},
        {"429 Too Many Requests", "", FALSE},
        {"400 Bad Request", "", TRUE},
        {"405 Method Not Allowed", "", TRUE},
        {"200 OK", "{\"errors\":[]}", TRUE},
        {"401 Unauthorized", "", FALSE},
        {"403 Forbidden", "", FALSE},
        {"408 Request Timeout", "", FALSE},
        {"412 Precondition Failed", "", FALSE},
        {"200 OK", "{\"manifests\":[{\"digest", FALSE}, /* cut short on its way */
    };
    const IngotDigest digest = {0};
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        Pages pages = {.status = rows[i].status, .first = rows[i].body};
        g_autoptr(GError) error = NULL;
        Serve *serve = serve_new(answer, &pages);
        g_autoptr(IngotRemote) remote = serve_remote(serve);
        g_autoptr(json_t) list = ingot_remote_referrers(remote, "team/web", &digest, &error);
        assert_int_equal(list != NULL, rows[i].known);
        assert_int_equal(error == NULL, rows[i].known);
        serve_free(serve);
    }
}

/* A registry without the API: what it answers to the fallback tag, and what is written there. */
typedef struct {
    const char *status, *body;
    const char *etag;    /* of what is there at first; NULL: it gives none */
    gint loses;          /* how many writes another client's takes the place of at once; -1: all */
    gboolean refuses;    /* whatever is written on a condition */
    gint puts;           /* atomic */
    gsize sent;          /* bytes of the last one */
    GString *conditions; /* of all of them, each with a comma behind it; NULL: they are not noted */
} Tag;

/* What is there once it was written: with our entry, unless another client has written over it. */
static const char *tag_list(const Tag *tag)
{
    gboolean lost = tag->loses < 0 || tag->puts <= tag->loses;
    return lost ? "{\"manifests\":[{\"digest\":\"sha256:3\"}]}"
                : "{\"manifests\":[{\"digest\":\"sha256:3\"},{\"digest\":\"sha256:2\"}]}";
}

static void tag_note(const Tag *tag, const char *request)
{
    const char *condition = strstr(request, "\r\nIf-");
    if (tag->conditions != NULL) {
        const char *text = condition == NULL ? "" : condition + 2;
        g_string_append_len(tag->conditions, text, (gssize)strcspn(text, "\r"));
        g_string_append_c(tag->conditions, ',');
    }
}

static char *answer_tag(const char *request, gsize sent, gpointer user)
{
    Tag *tag = user;
    gboolean is_tag = strstr(request, "/manifests/sha256-") != NULL, is_put = g_str_has_prefix(request, "PUT ");
    g_autofree char *etag = g_strdup_printf("ETag: %s\r\n", tag->etag);
    if (!is_tag) {
        return serve_text(is_put ? "201 Created" : "404 Not Found", "", "");
    }
    if (!is_put) {
        return tag->puts > 0 ? serve_text("200 OK", "", tag_list(tag))
                             : serve_text(tag->status, tag->etag == NULL ? "" : etag, tag->body);
    }
    tag_note(tag, request);
    if (tag->refuses && strstr(request, "\r\nIf-") != NULL) {
        return serve_text("412 Precondition Failed", "", "");
    }
    tag->sent = sent;
    g_atomic_int_inc(&tag->puts);
    return serve_text("201 Created", "", "");
}

static gboolean attach(Tag *tag, GError **error)
{
    const IngotDigest subject = {0};
    Serve *serve = serve_new(answer_tag, tag);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autoptr(json_t) listed = json_pack("{s:s, s:s, s:i, s:s}", "mediaType", INGOT_TYPE_MANIFEST, "digest", "sha256:2",
                                         "size", 2, "artifactType", "x/y");
    gboolean ok = ingot_remote_attach(remote, "team/web", &subject, listed, "{}", 2, error);
    serve_free(serve);
    return ok;
}

/* The list holds what others have attached: it is written anew only where it has been read. */
static void a_list_that_is_not_read_is_not_replaced(void **state)
{
    static const char *const unread[][2] = {
        {"401 Unauthorized", ""},
        {"403 Forbidden", ""},
        {"408 Request Timeout", ""},
        {"410 Gone", ""},
        {"412 Precondition Failed", ""},
        {"429 Too Many Requests", ""},
        {"501 Not Implemented", ""},
        {"503 Service Unavailable", ""},
        {"302 Found", ""},
        {"200 OK", ""},
        {"200 OK", "<html>"},
        {"200 OK", "{\"manifests\":[{\"digest\":\"sha256:1"},
        {"200 OK", "{\"errors\":[]}"},
        {"200 OK", "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"manifests\":[]}"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(unread); i++) {
        Tag tag = {.status = unread[i][0], .body = unread[i][1]};
        g_autoptr(GError) error = NULL;
        if (attach(&tag, &error) || tag.puts > 0) {
            fail_msg("%s '%s': written", unread[i][0], unread[i][1]);
        }
        assert_non_null(error);
    }
}

static void a_list_keeps_what_others_attached(void **state)
{
    static const char others[] = "{\"annotations\":{\"a\":\"b\"},\"manifests\":[{\"digest\":\"sha256:1\"}]}";
    Tag none = {.status = "404 Not Found", .body = ""}, some = {.status = "200 OK", .body = others},
        same = {.status = "200 OK", .body = "{\"manifests\":[{\"digest\":\"sha256:2\"}]}"};
    (void)state;
    assert_true(attach(&none, NULL));
    assert_int_equal(none.puts, 1);
    assert_true(attach(&some, NULL));
    assert_int_equal(some.puts, 1);
    assert_true(some.sent > strlen(others));
    assert_true(attach(&same, NULL));
    assert_int_equal(same.puts, 0);
}

/* Two who write one list at once lose the entry of one of them, who notices: it is added again to what is there. */
static void an_entry_that_another_client_wrote_over_is_added_again(void **state)
{
    Tag twice = {.status = "404 Not Found", .body = "", .loses = 2};
    Tag always = {.status = "404 Not Found", .body = "", .loses = -1};
    g_autoptr(GError) error = NULL;
    (void)state;
    assert_true(attach(&twice, NULL));
    assert_int_equal(twice.puts, 3);
    assert_false(attach(&always, &error));
    assert_non_null(strstr(error->message, "others write it, too"));
}

/* Where the registry says which list it has, only that one is replaced; one that takes no conditions is not asked for
 * any. */
static void a_list_is_replaced_on_condition(void **state)
{
    static const char list[] = "{\"manifests\":[{\"digest\":\"sha256:1\"}]}";
    const struct {
        Tag tag;
        const char *conditions;
    } rows[] = {
        {{.status = "200 OK", .body = list, .etag = "\"a\""}, "If-Match: \"a\","},
        {{.status = "200 OK", .body = list, .etag = "\"a\"", .refuses = TRUE}, "If-Match: \"a\",,"},
        {{.status = "200 OK", .body = list, .etag = "W/\"a\""}, ","},
        {{.status = "200 OK", .body = list}, ","},
        {{.status = "404 Not Found", .body = ""}, "If-None-Match: *,"},
        {{.status = "404 Not Found", .body = "", .refuses = TRUE}, "If-None-Match: *,,"},
    };
    (void)state;
    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) conditions = g_string_new(NULL);
        Tag tag = rows[i].tag;
        tag.conditions = conditions;
        assert_true(attach(&tag, NULL));
        assert_string_equal(conditions->str, rows[i].conditions);
        assert_int_equal(tag.puts, 1);
    }
}

/* Where a part will do, it is known as one. */
static void a_list_that_breaks_off_is_known_as_far_as_it_came(void **state)
{
    Pages pages = {.link = "<?last=1>; rel=next", .first = "{\"manifests\":[{}]}", .second = "<html>"};
    const IngotDigest digest = {0};
    g_autoptr(GError) problem = NULL;
    (void)state;
    Serve *serve = serve_new(answer, &pages);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autoptr(json_t) some = ingot_remote_some_referrers(remote, "team/web", &digest, &problem);
    assert_int_equal(json_array_size(some), 1);
    assert_non_null(problem);
    assert_null(ingot_remote_referrers(remote, "team/web", &digest, NULL));
    serve_free(serve);
}

/* A text of few bytes, and of far more memory. */
static void values_are_counted_before_they_are_made(void **state)
{
    g_autoptr(GString) text = g_string_new("{\"tags\":[[]");
    const IngotDigest digest = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) other = NULL;
    (void)state;
    for (guint i = 0; i < MANY; i++) {
        g_string_append(text, ",[]");
    }
    g_string_append(text, "]}");
    Pages pages = {.first = text->str};
    assert_null(tags_of(&pages, &error));
    assert_non_null(strstr(error->message, " values"));
    g_string_replace(text, "tags", "manifests", 1);
    pages.first = text->str;
    Serve *serve = serve_new(answer, &pages);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    assert_null(ingot_remote_referrers(remote, "team/web", &digest, &other));
    assert_non_null(strstr(other->message, " values"));
    serve_free(serve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_page_is_at_the_same_registry),
        cmocka_unit_test(a_redirection_says_nothing_of_the_list),
        cmocka_unit_test(a_list_that_goes_on_elsewhere_is_none),
        cmocka_unit_test(a_page_that_follows_itself_is_refused),
        cmocka_unit_test(what_is_no_list_is_not_an_empty_one),
        cmocka_unit_test(what_is_attached_is_known_or_not),
        cmocka_unit_test(a_list_that_is_not_read_is_not_replaced),
        cmocka_unit_test(a_list_keeps_what_others_attached),
        cmocka_unit_test(an_entry_that_another_client_wrote_over_is_added_again),
        cmocka_unit_test(a_list_is_replaced_on_condition),
        cmocka_unit_test(a_list_that_breaks_off_is_known_as_far_as_it_came),
        cmocka_unit_test(values_are_counted_before_they_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

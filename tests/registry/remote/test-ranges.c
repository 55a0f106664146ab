/* Ranges from registries that take lists of them, do not, lead elsewhere, or know of no ranges at all. */
#include "serve.h"

#include <stdio.h>

#define SIZE 100000u
#define EACH 10u

static const IngotRange wanted[] = {
    {.offset = 0, .length = EACH}, {.offset = 40000, .length = EACH}, {.offset = 80000, .length = EACH}};

static char letter_at(guint64 offset)
{
    return (char)('a' + offset % 26);
}

static char *blob_part(guint64 offset, guint64 length)
{
    char *text = g_malloc(length + 1);
    for (guint64 i = 0; i < length; i++) {
        text[i] = letter_at(offset + i);
    }
    text[length] = '\0';
    return text;
}

typedef struct {
    const char *offers;    /* headers of each answer */
    const char *listed;    /* the status of an answer to a list; NULL: 200 */
    const char *page;      /* its body; NULL: what was asked for */
    const char *elsewhere; /* the place that it leads to; NULL: none */
    gboolean ignores;      /* Range */
    gint forbids;          /* the request that is refused, of those for a range; 0: none */
    gint ranges, lists;    /* atomic: requests */
    gint logins;           /* atomic: of those with a login */
} Place;

static char *answer(const char *request, gsize sent, gpointer user)
{
    Place *place = user;
    guint64 first = 0, last = 0;
    const char *range = strstr(request, "Range: bytes=");
    if (strstr(request, "Authorization:") != NULL) {
        g_atomic_int_inc(&place->logins);
    }
    if (g_str_has_prefix(request, "POST /list ")) {
        g_autofree char *one = blob_part(40000, EACH), *other = blob_part(80000, EACH),
                        *both = g_strconcat(one, other, NULL);
        g_atomic_int_inc(&place->lists);
        assert_int_equal(sent, 32);
        return serve_text(place->listed == NULL ? "200 OK" : place->listed, "",
                          place->page == NULL ? both : place->page);
    }
    assert_true(g_str_has_prefix(request, "GET "));
    gint number = g_atomic_int_add(&place->ranges, 1) + 1;
    if (place->elsewhere != NULL) {
        g_autofree char *location = g_strdup_printf("Location: %s/there\r\n", place->elsewhere);
        return serve_text("307 Temporary Redirect", location, "");
    }
    if (place->forbids == number) {
        return serve_text("403 Forbidden", "", "");
    }
    if (place->ignores) {
        g_autofree char *all = blob_part(0, SIZE);
        return serve_text("200 OK", "", all);
    }
    assert_non_null(range);
    assert_int_equal(sscanf(range, "Range: bytes=%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT, &first, &last), 2);
    g_autofree char *part = blob_part(first, last - first + 1);
    g_autofree char *headers =
        g_strdup_printf("Content-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%u\r\n%s", first, last, SIZE,
                        place->offers == NULL ? "" : place->offers);
    return serve_text("206 Partial Content", headers, part);
}

static gboolean take(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    (void)error;
    memcpy((char *)user + offset, data, size);
    return TRUE;
}

static void get(const Serve *serve)
{
    const IngotDigest digest = {0};
    g_autofree char *all = g_malloc0(SIZE);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    g_autoptr(GError) error = NULL;
    guint64 received = 0;
    if (!ingot_remote_get_ranges(remote, "team/web", &digest, SIZE, wanted, G_N_ELEMENTS(wanted), take, all, &received,
                                 &error)) {
        fail_msg("%s", error->message);
    }
    for (guint i = 0; i < G_N_ELEMENTS(wanted); i++) {
        g_autofree char *part = blob_part(wanted[i].offset, wanted[i].length);
        assert_memory_equal(all + wanted[i].offset, part, wanted[i].length);
    }
    assert_int_equal(all[EACH], 0);
    assert_true(received >= G_N_ELEMENTS(wanted) * EACH);
}

static void assert_asked(Place place, gint ranges, gint lists)
{
    Serve *serve = serve_new(answer, &place);
    get(serve);
    serve_free(serve);
    assert_int_equal(place.ranges, ranges);
    assert_int_equal(place.lists, lists);
}

static void one_request_brings_many_ranges(void **state)
{
    (void)state;
    assert_asked((Place){.offers = ""}, 3, 0);
    assert_asked((Place){.offers = "Ingot-Ranges: /list\r\n"}, 1, 1);
}

/* Something between may let no lists pass, or answer them with a page of its own; a list goes to nobody else. */
static void without_lists_it_goes_on_by_ranges(void **state)
{
    (void)state;
    assert_asked((Place){.offers = "Ingot-Ranges: /list\r\n", .listed = "405 Method Not Allowed"}, 3, 1);
    assert_asked((Place){.offers = "Ingot-Ranges: /list\r\n", .listed = "307 Temporary Redirect"}, 3, 1);
    assert_asked((Place){.offers = "Ingot-Ranges: /list\r\n", .page = "<html>log in</html>"}, 3, 1);
    assert_asked((Place){.offers = "Ingot-Ranges: https://elsewhere.invalid/list\r\n"}, 3, 0);
}

static void one_that_knows_no_ranges_is_read_once(void **state)
{
    (void)state;
    assert_asked((Place){.ignores = TRUE}, 2, 0); /* the second answer is the one that is read */
}

/* A registry that answers a first range, half of a second, and no range from then on: what it gives then is another
 * copy. */
static char *answer_twice(const char *request, gsize sent, gpointer user)
{
    gint number = g_atomic_int_add((gint *)user, 1);
    (void)request, (void)sent;
    if (number >= 2) {
        g_autofree char *all = g_strnfill(SIZE, 'Z');
        return serve_text("200 OK", "", all);
    }
    g_autofree char *part = blob_part(wanted[number].offset, number == 0 ? EACH : EACH / 2);
    return g_strdup_printf("HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: %u\r\n"
                           "Content-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%u\r\n\r\n%s",
                           EACH, wanted[number].offset, wanted[number].offset + EACH - 1, SIZE, part);
}

static gboolean take_once(guint64 offset, const void *data, gsize size, gpointer user, GError **error)
{
    char *all = user;
    for (gsize i = 0; i < size; i++) {
        assert_int_equal(all[offset + i], 0);
    }
    return take(offset, data, size, user, error);
}

static void what_has_come_does_not_come_again(void **state)
{
    const IngotDigest digest = {0};
    gint asked = 0;
    g_autofree char *all = g_malloc0(SIZE);
    g_autoptr(GError) error = NULL;
    (void)state;
    Serve *serve = serve_new(answer_twice, &asked);
    g_autoptr(IngotRemote) remote = serve_remote(serve);
    ingot_remote_limit(remote, 5, 5, 10);
    gboolean ok = ingot_remote_get_ranges(remote, "team/web", &digest, SIZE, wanted, 2, take_once, all, NULL, &error);
    serve_free(serve);
    if (!ok) {
        fail_msg("%s", error->message);
    }
    for (guint i = 0; i < 2; i++) {
        for (guint at = 0; at < EACH; at++) {
            guint64 offset = wanted[i].offset + at;
            assert_int_equal(all[offset], i == 0 || at < EACH / 2 ? letter_at(offset) : 'Z');
        }
    }
}

/* Where it leads is asked at once from then on, without the login; where that refuses, the registry is asked again. */
static void where_it_leads_is_remembered(void **state)
{
    (void)state;
    for (gint forbids = 0; forbids <= 2; forbids += 2) {
        Place other = {.forbids = forbids};
        Serve *there = serve_new(answer, &other);
        Place registry = {.elsewhere = there->where};
        Serve *serve = serve_new(answer, &registry);
        get(serve);
        serve_free(serve);
        serve_free(there);
        assert_int_equal(registry.ranges, forbids == 0 ? 1 : 2);
        assert_int_equal(other.ranges, forbids == 0 ? 3 : 4);
        assert_int_equal(other.logins, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_brings_many_ranges),        cmocka_unit_test(without_lists_it_goes_on_by_ranges),
        cmocka_unit_test(one_that_knows_no_ranges_is_read_once), cmocka_unit_test(what_has_come_does_not_come_again),
        cmocka_unit_test(where_it_leads_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

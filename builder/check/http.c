/* The http test: asked from the host, through a forwarded port, as a user of the machine would. */
#include "check/kinds.h"

#include <curl/curl.h>
#include <ingot/error.h>

#include "base/process.h"
#include "base/secrets.h"
#include "base/text.h"
#include "recipe/rows.h"

#define BODY_MAX (1u << 20) /* bytes of an answer that are looked at */
#define BODY_SHOWN 200      /* of them in a message */
#define RETRY_USEC (G_USEC_PER_SEC / 4)

static const Key request_keys[] = {
    {.name = "port", .help = "The port.", .kind = KIND_INTEGER, .least = 1, .most = 65535, .fallback = "80"},
    {.name = "path",
     .help = "The path.",
     .kind = KIND_STRING,
     .pattern = ABSOLUTE,
     .hint = ABSOLUTE_HINT,
     .fallback = "/"},
    {.name = "status",
     .help = "The status of the answer.",
     .kind = KIND_INTEGER,
     .least = 100,
     .most = 599,
     .fallback = "200"},
    {.name = "body", .help = "A regular expression that the page matches.", .kind = KIND_REGEX},
    END,
};
static const Shape request_shape = {.name = "request", .help = "What to ask for and what comes.", .keys = request_keys};

static const Key test_http_keys[] = {
    NAME,
    {.name = "http", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &request_shape},
    TEST_TIMEOUT,
    END,
};
static const Shape test_http_shape = {
    .name = "testHttp", .help = "A web page that the machine serves.", .keys = test_http_keys};
const Variant recipe_test_http = {"http", "http", &test_http_shape};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

static size_t keep(char *data, size_t size, size_t count, void *user)
{
    GString *body = user;
    if (body->len < BODY_MAX) {
        g_string_append_len(body, data, (gssize)(size * count));
    }
    return size * count;
}

static gboolean ask(const char *url, const json_t *test, char **reason)
{
    g_autoptr(CURL) curl = curl_easy_init();
    g_autoptr(GString) body = g_string_new(NULL);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
        *reason = g_strdup(curl_easy_strerror(code));
        return FALSE;
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    long wanted = (long)json_integer_value(json_object_get(test, "status"));
    if (status != wanted) {
        *reason = g_strdup_printf("status %ld, not %ld", status, wanted);
        return FALSE;
    }
    const char *pattern = json_string_value(json_object_get(test, "body"));
    if (pattern != NULL && !check_matches(pattern, body->str, body->len)) {
        g_autofree char *masked = ingot_secrets_mask_all(body->str);
        g_autofree char *shown = ingot_text_head(masked, BODY_SHOWN);
        *reason = g_strdup_printf("the body does not match '%s': %s", pattern, shown);
        return FALSE;
    }
    return TRUE;
}

/* A service may still be starting: asked again until it is right or the test's time is over. */
static gboolean http_run(const CheckContext *context, const json_t *test, char **reason, GError **error)
{
    guint16 port = (guint16)json_integer_value(json_object_get(test, "port"));
    const char *path = json_string_value(json_object_get(test, "path"));
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u%s", machine_port(context->machine, port), path);
    gint64 end = g_get_monotonic_time() + json_integer_value(json_object_get(test, "timeout")) * G_USEC_PER_SEC;
    while (!ask(url, test, reason)) {
        if (!machine_alive(context->machine, error) || !ingot_interrupt_check(error)) {
            g_clear_pointer(reason, g_free);
            return FALSE;
        }
        if (g_get_monotonic_time() >= end) {
            return FALSE;
        }
        g_clear_pointer(reason, g_free);
        g_usleep(RETRY_USEC);
    }
    return TRUE;
}

static char *http_title(const json_t *test)
{
    return g_strdup_printf("http port %" JSON_INTEGER_FORMAT " %s", json_integer_value(json_object_get(test, "port")),
                           check_text(test, "path"));
}

static guint16 http_port(const json_t *test)
{
    return (guint16)json_integer_value(json_object_get(test, "port"));
}

const CheckKind check_http = {.kind = "http", .run = http_run, .title = http_title, .port = http_port};

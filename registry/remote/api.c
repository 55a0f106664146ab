#include "remote/api.h"

#include <ingot/error.h>
#include <string.h>

#include "base/text.h"
#include "remote/failure.h"
#include "remote/http.h"

#define FOREIGN "not a registry of Ingot's, or one of an older version: it has no pipelines, history or gates"
#define ANSWER_VALUES (1u << 20) /* of JSON */

/* What the first of the errors that it lists says: Ingot's own registry refuses so, also what it has no route for.
 * NULL: it lists none. Free it. */
static char *refusal_message(const HttpExchange *exchange)
{
    gsize room = ANSWER_VALUES;
    g_autoptr(json_t) body =
        ingot_json_parse_within(exchange->answer->data, exchange->answer->len, "answer", &room, NULL);
    const json_t *first = json_array_get(json_object_get(body, "errors"), 0);
    const char *message = json_string_value(json_object_get(first, "message"));
    return first == NULL ? NULL : g_strdup(message == NULL ? "" : message);
}

/* Whether it says in its own words what is wrong with what the user has named. */
static gboolean is_told(const HttpExchange *exchange, const char *message)
{
    return message != NULL && *message != '\0' &&
           (exchange->status == 400 || exchange->status == 404 || exchange->status == 409 || exchange->status == 412);
}

/* They begin with what the user has named. */
static void tell(const IngotRemote *remote, const HttpExchange *exchange, const char *path, const char *message,
                 GError **error)
{
    g_autofree char *word = g_strndup(message, strcspn(message, " :")), *line = ingot_text_line(message);
    g_set_error(error, INGOT_ERROR,
                exchange->status == 404   ? INGOT_ERROR_NOT_FOUND
                : exchange->status == 400 ? INGOT_ERROR_FAILED
                                          : INGOT_ERROR_EXISTS,
                "%s%s%s", remote->host, g_str_has_prefix(path, word) ? "/" : ": ", line);
}

static json_t *refuse(IngotRemote *remote, const HttpExchange *exchange, const char *path, GError **error)
{
    g_autofree char *message = refusal_message(exchange);
    gboolean ours = message != NULL && strcmp(message, "no such endpoint") != 0;
    if ((exchange->status == 404 || exchange->status == 405 || exchange->status == 501) && !ours) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: " FOREIGN, remote->host);
    } else if (is_told(exchange, message)) {
        tell(remote, exchange, path, message, error);
    } else {
        http_refused(remote, exchange, error);
    }
    return NULL;
}

gboolean remote_api_is_foreign(const GError *error)
{
    return g_error_matches(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) && strstr(error->message, FOREIGN) != NULL;
}

/* Each request goes out again where its answer is lost: by its key the registry knows what it has done already. */
static char *key_header(void)
{
    g_autofree char *key = g_uuid_string_random();
    return g_strconcat("Idempotency-Key: ", key, NULL);
}

json_t *remote_api(IngotRemote *remote, const char *method, const char *path, const json_t *body, guint *status,
                   GError **error)
{
    g_autofree char *text = body == NULL ? NULL : ingot_json_canonical(body);
    g_autofree char *key = strcmp(method, "POST") == 0 ? key_header() : NULL;
    const char *const headers[] = {text == NULL ? key : "Content-Type: application/json", text == NULL ? NULL : key,
                                   NULL};
    g_auto(HttpExchange) exchange = {.method = method,
                                     .url = g_strdup_printf("%s/api/v1/%s", remote->base, path),
                                     .headers = headers,
                                     .body = text,
                                     .body_size = text == NULL ? 0 : strlen(text),
                                     .limit = API_ANSWER_MAX};
    if (!http_exchange(remote, &exchange, error)) {
        return NULL;
    }
    *status = (guint)exchange.status;
    gboolean good = exchange.status >= 200 && exchange.status < 300;
    if (!good && exchange.status != 409) {
        return refuse(remote, &exchange, path, error);
    }
    if (good && exchange.answer->len == 0) {
        return json_null();
    }
    gsize room = ANSWER_VALUES;
    g_autoptr(json_t) answer = failure_parse(remote, exchange.url, exchange.answer, &room, good ? error : NULL);
    if (good || json_object_get(answer, "gates") != NULL || json_object_get(answer, "mistakes") != NULL) {
        return g_steal_pointer(&answer);
    }
    return refuse(remote, &exchange, path, error);
}

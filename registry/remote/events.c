#include "remote/events.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "base/process.h"
#include "remote/failure.h"
#include "remote/http.h"

#define TYPE "application/jsonl"
#define LINE_MAX_BYTES (64u << 10)
#define SILENCE (30 * G_TIME_SPAN_SECOND) /* a held answer says something every 10 s */

typedef struct {
    IngotRemote *remote;
    char *url;
    RemoteEventTake take;
    gpointer user;
    GString *line;
    gint64 heard;     /* monotonic: when bytes came last */
    gboolean begun;   /* the first line has come, and is that of a held answer */
    gboolean foreign; /* it answers with something else */
    gboolean enough;
} Hearing;

static void hearing_clear(Hearing *hearing)
{
    g_free(hearing->url);
    g_string_free(hearing->line, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Hearing, hearing_clear)

static size_t hearing_header(char *data, size_t size, size_t count, void *user)
{
    (void)data;
    (void)user;
    return size * count;
}

/* Whatever answers any path with a page does not begin so. */
static gboolean hearing_begins(const Hearing *hearing)
{
    const char *type = NULL;
    gsize length = strlen(TYPE);
    curl_easy_getinfo(hearing->remote->curl, CURLINFO_CONTENT_TYPE, &type);
    if (type == NULL || g_ascii_strncasecmp(type, TYPE, length) != 0 || strchr("; ", type[length]) == NULL) {
        return FALSE;
    }
    g_autoptr(json_t) first = ingot_json_parse(hearing->line->str, hearing->line->len, "an event", NULL);
    return json_is_integer(json_object_get(first, "number"));
}

static gboolean hearing_byte(Hearing *hearing, char byte)
{
    if (byte != '\n') {
        g_string_append_c(hearing->line, byte);
        return hearing->line->len <= LINE_MAX_BYTES;
    }
    hearing->begun = hearing->begun || hearing_begins(hearing);
    hearing->foreign = !hearing->begun;
    if (hearing->foreign) {
        return FALSE;
    }
    gboolean more = hearing->take(hearing->line->str, hearing->user);
    g_string_truncate(hearing->line, 0);
    hearing->enough = !more;
    return more;
}

static size_t hearing_data(char *data, size_t size, size_t count, void *user)
{
    Hearing *hearing = user;
    long status = 0;
    hearing->heard = g_get_monotonic_time();
    curl_easy_getinfo(hearing->remote->curl, CURLINFO_RESPONSE_CODE, &status);
    for (gsize i = 0; status == 200 && i < size * count; i++) {
        if (!hearing_byte(hearing, data[i])) {
            return 0;
        }
    }
    return size * count;
}

/* curl asks several times a second. */
static int hearing_goes_on(void *user, curl_off_t total, curl_off_t now, curl_off_t to_send, curl_off_t sent)
{
    const Hearing *hearing = user;
    (void)total;
    (void)now;
    (void)to_send;
    (void)sent;
    return !ingot_interrupt_check(NULL) || g_get_monotonic_time() - hearing->heard > SILENCE;
}

static CURLcode hearing_perform(Hearing *hearing)
{
    CURL *curl = hearing->remote->curl;
    http_prepare_get(curl, hearing->remote, hearing->url, TRUE, hearing_header, hearing_data, hearing);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 0L); /* silence is its nature */
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, hearing_goes_on);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, hearing);
    hearing->heard = g_get_monotonic_time();
    return curl_easy_perform(curl);
}

/* An ordinary exchange, of what the name's readers may ask as well, finds out which login is asked for. */
static gboolean hearing_log_in(Hearing *hearing, const char *name, GError **error)
{
    g_auto(HttpExchange) get = {.method = "GET",
                                .url = g_strdup_printf("%s/api/v1/%s/hosts/none", hearing->remote->base, name),
                                .limit = LINE_MAX_BYTES};
    return http_exchange(hearing->remote, &get, error) &&
           (get.status < 400 || http_refused(hearing->remote, &get, error));
}

gboolean remote_events(IngotRemote *remote, const char *name, RemoteEventTake take, gpointer user, GError **error)
{
    g_auto(Hearing) hearing = {.remote = remote,
                               .url = g_strdup_printf("%s/api/v1/events?name=%s", remote->base, name),
                               .take = take,
                               .user = user,
                               .line = g_string_new(NULL)};
    for (gboolean logged_in = FALSE;; logged_in = TRUE) {
        long status = 0;
        if (!auth_ready(remote, "GET", hearing.url, error)) {
            return FALSE;
        }
        CURLcode code = hearing_perform(&hearing);
        curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &status);
        if (!ingot_interrupt_check(error)) {
            return FALSE;
        }
        if (hearing.foreign || (code == CURLE_OK && status == 200 && !hearing.begun)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                        "%s has no events: it is not a registry of Ingot's, or something before it answers instead",
                        remote->host);
            return FALSE;
        }
        if (code != CURLE_OK && !hearing.enough) {
            return http_failed(remote, remote->curl, code, hearing.url, error);
        }
        if (status == 200) {
            return TRUE;
        }
        if (status != 401 || logged_in) {
            return failure_set_status(remote, hearing.url, status, NULL, "", error);
        }
        if (!hearing_log_in(&hearing, name, error)) {
            return FALSE;
        }
    }
}

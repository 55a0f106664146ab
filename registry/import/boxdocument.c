#include "import/boxdocument.h"

#include <curl/curl.h>
#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "base/process.h"
#include "remote/http.h"
#include "remote/patience.h"

#define PATIENCE_SECONDS 1800 /* for a site that asks to wait */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CURL, curl_easy_cleanup)

typedef struct {
    const BoxDocumentWish *wish;
    const char *name;
    GByteArray *bytes;
    GError *error; /* from within a callback */
} Fetch;

static size_t take(char *data, size_t size, size_t count, void *user)
{
    Fetch *fetch = user;
    gsize length = size * count;
    if (length > fetch->wish->limit - fetch->bytes->len) {
        g_set_error(&fetch->error, INGOT_ERROR, INGOT_ERROR_LIMIT, "%s: the answer has more than %zu MiB", fetch->name,
                    fetch->wish->limit >> 20);
        return 0;
    }
    g_byte_array_append(fetch->bytes, (const guint8 *)data, (guint)length);
    return length;
}

static int watch(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    Fetch *fetch = user;
    (void)total, (void)now, (void)up_total, (void)up_now;
    return fetch->error == NULL && !ingot_interrupt_check(&fetch->error);
}

static struct curl_slist *configure(CURL *curl, Fetch *fetch, const IngotRemoteOptions *options, char *reason)
{
    const BoxDocumentWish *wish = fetch->wish;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    http_prepare(curl, wish->url, options);
    if (wish->token != NULL) {
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, wish->token);
    }
    curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    return headers;
}

static gboolean refuse(const Fetch *fetch, long status, GError **error)
{
    gboolean denied = status == 401 || status == 403, passing = patience_is_passing(status);
    g_set_error(error, INGOT_ERROR,
                denied    ? INGOT_ERROR_DENIED
                : passing ? INGOT_ERROR_NETWORK
                          : INGOT_ERROR_NOT_FOUND,
                denied ? "%s: the site wants a login (status %ld): set INGOT_TOKEN to HOST=TOKEN" : "%s: status %ld",
                fetch->name, status);
    return FALSE;
}

/* One try; *wait (microseconds): another one after so long; -1: it is done. */
static gboolean attempt(CURL *curl, Fetch *fetch, Patience *patience, gint64 *wait, GError **error)
{
    char reason[CURL_ERROR_SIZE] = "";
    long status = 0;
    g_autoptr(IngotRemoteOptions) options = ingot_remote_options_from_environment();
    if (!http_check_settings(options, error)) {
        return FALSE;
    }
    g_byte_array_set_size(fetch->bytes, 0);
    struct curl_slist *headers = configure(curl, fetch, options, reason);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    *wait = -1;
    if (fetch->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&fetch->error));
        return FALSE;
    }
    if (code == CURLE_OK && status < 400) {
        return TRUE;
    }
    *wait = patience_take(patience, curl, code, status);
    if (*wait >= 0) {
        return TRUE;
    }
    if (code == CURLE_OK) {
        return refuse(fetch, status, error);
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NETWORK, "%s: %s", fetch->name,
                *reason != '\0' ? reason : curl_easy_strerror(code));
    return FALSE;
}

static GBytes *fetch_document(const BoxDocumentWish *wish, const char *name, char **at, GError **error)
{
    g_autoptr(CURL) curl = curl_easy_init();
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    Fetch fetch = {.wish = wish, .name = name, .bytes = bytes};
    Patience patience = patience_of(PATIENCE_SECONDS);
    const char *effective = NULL;
    gint64 wait = -1;
    do {
        if ((wait >= 0 && !patience_sleep(wait, error)) || !attempt(curl, &fetch, &patience, &wait, error)) {
            return NULL;
        }
    } while (wait >= 0);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &effective);
    *at = g_strdup(effective == NULL ? wish->url : effective);
    return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

GBytes *box_document(const BoxDocumentWish *wish, const char *name, char **at, GError **error)
{
    if (!g_str_has_prefix(wish->url, "file://")) {
        return fetch_document(wish, name, at, error);
    }
    g_autofree char *path = g_filename_from_uri(wish->url, NULL, NULL);
    if (path == NULL || !g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: there is no such file", name);
        return NULL;
    }
    *at = g_strdup(wish->url);
    return ingot_file_read(path, wish->limit, error);
}

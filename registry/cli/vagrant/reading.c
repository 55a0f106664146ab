#include "cli/vagrant/reading.h"

#include <curl/curl.h>
#include <string.h>

#include "cli/vagrant/fetch.h"

static void reading_free(gpointer data)
{
    Reading *reading = data;
    ingot_reference_free(reading->image);
    g_free(reading);
}

/* --- the URL --- */

typedef struct {
    char *host;  /* HOST[:PORT], as it is written */
    char *other; /* the same by its usual name; NULL: that is it */
    char *path;  /* without escapes */
} Address;

static void address_clear(Address *address)
{
    g_free(address->host);
    g_free(address->other);
    g_free(address->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Address, address_clear)

/* Free it; NULL: there is none. */
static char *address_part(CURLU *url, CURLUPart part, unsigned int flags)
{
    char *text = NULL;
    char *copy = curl_url_get(url, part, &text, flags) == CURLUE_OK ? g_strdup(text) : NULL;
    curl_free(text);
    return copy;
}

static char *address_host(const char *name, const char *port)
{
    return port == NULL ? g_strdup(name) : g_strconcat(name, ":", port, NULL);
}

static void address_take(CURLU *url, Address *address)
{
    g_autofree char *name = address_part(url, CURLUPART_HOST, 0), *port = address_part(url, CURLUPART_PORT, 0);
    g_autofree char *needed = address_part(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
    if (name == NULL || *name == '\0') {
        return;
    }
    g_autofree char *bare = g_strndup(name, strlen(name) - (g_str_has_suffix(name, ".") ? 1 : 0));
    g_autofree char *usual = address_host(bare, needed);
    address->host = address_host(name, port);
    address->other = strcmp(usual, address->host) == 0 ? NULL : g_steal_pointer(&usual);
    address->path = address_part(url, CURLUPART_PATH, CURLU_URLDECODE);
}

/* A host of NULL: curl would not ask anybody. */
static void address_read(const char *text, Address *address)
{
    CURLU *url = curl_url();
    if (url != NULL &&
        curl_url_set(url, CURLUPART_URL, text, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
        address_take(url, address);
    }
    curl_url_cleanup(url);
}

/* Whether curl's command takes braces and brackets in it for several URLs: all but those around an address of IPv6. */
static gboolean address_is_many(const char *text, const Address *address)
{
    const char *behind = address->host != NULL && address->host[0] == '[' ? strchr(text, ']') : text;
    return strpbrk(text, "{}") != NULL || (behind != NULL && strchr(behind, '[') != NULL);
}

/* --- the doors --- */

static const struct {
    const char *path;
    gboolean is_box;
} doors[] = {{"/vagrant/", FALSE}, {"/api/v2/vagrant/", FALSE}, {"/formats/", TRUE}};

/* What follows the door is NAME or NAME@CHANNEL, or a box. NULL: it is neither. */
static IngotReference *door_image(const char *host, const char *rest, gboolean is_box)
{
    g_autofree char *which = NULL, *format = NULL, *file = NULL;
    g_autofree char *name = is_box ? fetch_split(rest, &which, &format, &file) : g_strndup(rest, strcspn(rest, "@"));
    if (name == NULL || !ingot_name_check(name, NULL)) {
        return NULL;
    }
    if (!is_box) {
        const char *channel = strchr(rest, '@');
        return ingot_reference_new(host, name, channel == NULL ? FETCH_TAG : channel + 1, NULL);
    }
    gboolean pinned = strchr(which, ':') != NULL;
    return ingot_reference_new(host, name, pinned ? NULL : which, pinned ? which : NULL);
}

static void readings_add(GPtrArray *readings, const char *host, const char *at, gboolean is_plain)
{
    for (guint i = 0; i < G_N_ELEMENTS(doors); i++) {
        IngotReference *image =
            g_str_has_prefix(at, doors[i].path) ? door_image(host, at + strlen(doors[i].path), doors[i].is_box) : NULL;
        if (image != NULL) {
            const Reading reading = {.image = image,
                                     .is_box = doors[i].is_box,
                                     .is_channel = !doors[i].is_box && strchr(at, '@') != NULL,
                                     .is_plain = is_plain};
            g_ptr_array_add(readings, g_memdup2(&reading, sizeof reading));
        }
    }
}

/* By that name of the host. */
static void readings_add_all(GPtrArray *readings, const char *host, const char *path, gboolean is_plain)
{
    for (const char *at = path; at != NULL; at = strchr(at + 1, '/')) {
        readings_add(readings, host, at, is_plain && at == path);
    }
}

GPtrArray *readings_of(const char *url)
{
    g_auto(Address) address = {0};
    GPtrArray *readings = g_ptr_array_new_with_free_func(reading_free);
    address_read(url, &address);
    if (address_is_many(url, &address)) {
        g_ptr_array_unref(readings);
        return NULL;
    }
    if (address.host != NULL) {
        readings_add_all(readings, address.host, address.path, TRUE);
    }
    if (address.other != NULL) {
        readings_add_all(readings, address.other, address.path, FALSE);
    }
    return readings;
}

const Reading *readings_plain(const GPtrArray *readings)
{
    const Reading *first = readings == NULL || readings->len == 0 ? NULL : g_ptr_array_index(readings, 0);
    return first != NULL && first->is_plain ? first : NULL;
}

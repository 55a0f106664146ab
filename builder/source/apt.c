#include "source/apt.h"

#include <curl/curl.h>
#include <errno.h>
#include <ingot/digest.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

#define RELEASE_MAX (8u << 20)
#define APT_HELPER "/usr/lib/apt/apt-helper"
#define APT_LOGINS "release-auth.conf" /* in the work folder, as long as the mirror is asked */
#define AUTH_CONF "/etc/apt/auth.conf"

static char *apt_join(const json_t *words)
{
    g_autoptr(GString) text = g_string_new(NULL);
    size_t i;
    json_t *word;
    json_array_foreach(words, i, word)
    {
        g_string_append_printf(text, "%s%s", i == 0 ? "" : " ", json_string_value(word));
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* "bookworm" is followed by its updates and its security fixes, and by nothing else that merely starts like it. */
static gboolean apt_belongs(const char *release, const char *suite)
{
    static const char *const tails[] = {"", "-updates", "-security", "/updates"};
    gsize length = strlen(suite);
    for (guint i = 0; i < G_N_ELEMENTS(tails); i++) {
        if (strncmp(release, suite, length) == 0 && strcmp(release + length, tails[i]) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* "http://me:secret@host/debian" as URI without the login, which becomes a line of auth.conf. */
static gboolean apt_add(GString *lines, GString *logins, const char *uri, const char *suite, const char *components,
                        GError **error)
{
    g_autofree char *clean = ingot_text_url(uri);
    const char *host = strstr(uri, "://");
    const char *end = host == NULL ? NULL : host + strlen("://") + strcspn(host + strlen("://"), "/");
    const char *at = host == NULL ? NULL : g_strrstr_len(host, end - host, "@");
    if (at != NULL) {
        g_autofree char *login = g_strndup(host + strlen("://"), (gsize)(at - host) - strlen("://"));
        g_auto(GStrv) words = g_strsplit(login, ":", 2);
        g_autofree char *user = g_uri_unescape_string(words[0], NULL);
        g_autofree char *password = g_uri_unescape_string(words[1] == NULL ? "" : words[1], NULL);
        if (user == NULL || password == NULL || *user == '\0' || strpbrk(user, " \t\n") != NULL ||
            strpbrk(password, " \t\n") != NULL) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                        "%s: the login in this source's URL can't be given to apt: put it into /etc/apt/auth.conf",
                        clean);
            return FALSE;
        }
        g_string_append_printf(logins, "machine %s login %s password %s\n", clean, user, password);
    }
    g_string_append_printf(lines, "deb %s %s %s\n", clean, suite, components);
    return TRUE;
}

gboolean apt_has_security(const char *lines, const char *suite)
{
    static const char *const rolling[] = {"sid", "unstable", "experimental", NULL};
    g_autofree char *own = g_strdup_printf(" %s-security ", suite);
    g_autofree char *older = g_strdup_printf(" %s/updates ", suite);
    return g_strv_contains(rolling, suite) || strstr(lines, own) != NULL || strstr(lines, older) != NULL;
}

void apt_sources_clear(AptSources *sources)
{
    g_clear_pointer(&sources->lines, g_free);
    g_clear_pointer(&sources->logins, g_free);
}

gboolean apt_select(const char *listing, const char *suite, const char *components, AptSources *sources, GError **error)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GString) logins = g_string_new(NULL);
    g_autoptr(GRegex) regex = g_regex_new("^'(\\S+)/dists/(\\S+)/InRelease' ", G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_regex_match(regex, listing, 0, &match);
    while (g_match_info_matches(match)) {
        g_autofree char *uri = g_match_info_fetch(match, 1);
        g_autofree char *release = g_match_info_fetch(match, 2);
        if (apt_belongs(release, suite) && !apt_add(lines, logins, uri, release, components, error)) {
            return FALSE;
        }
        g_match_info_next(match, NULL);
    }
    sources->lines = g_string_free(g_steal_pointer(&lines), FALSE);
    sources->logins = g_string_free(g_steal_pointer(&logins), FALSE);
    return TRUE;
}

static gboolean apt_of_mirror(const char *mirror, const char *suite, const char *components, AptSources *sources,
                              GError **error)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GString) logins = g_string_new(NULL);
    if (!apt_add(lines, logins, mirror, suite, components, error)) {
        return FALSE;
    }
    sources->lines = g_string_free(g_steal_pointer(&lines), FALSE);
    sources->logins = g_string_free(g_steal_pointer(&logins), FALSE);
    return TRUE;
}

gboolean apt_sources(const json_t *source, AptSources *sources, GError **error)
{
    const char *suite = json_string_value(json_object_get(source, "suite"));
    const char *mirror = json_string_value(json_object_get(source, "mirror"));
    g_autofree char *components = apt_join(json_object_get(source, "components"));
    if (mirror != NULL) {
        sources->named = TRUE;
        return apt_of_mirror(mirror, suite, components, sources, error);
    }
    const char *argv[] = {"apt-get", "update", "--print-uris", "-o", "Debug::NoLocking=1", NULL};
    g_autofree char *listing = ingot_process_output(argv, error);
    if (listing == NULL) {
        g_prefix_error_literal(error, "this host's apt sources (name a source.bootstrap.mirror to do without them): ");
        return FALSE;
    }
    if (!apt_select(listing, suite, components, sources, error)) {
        return FALSE;
    }
    if (*sources->lines == '\0') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "no apt source of this host has the suite '%s': name one as source.bootstrap.mirror", suite);
        return FALSE;
    }
    return TRUE;
}

gboolean apt_needs_certificates(const char *lines)
{
    return g_regex_match_simple("^deb https:", lines, G_REGEX_MULTILINE | G_REGEX_CASELESS, 0);
}

static gboolean apt_is_loopback(const char *host)
{
    return g_regex_match_simple("^(localhost|.*\\.localhost|127(\\.[0-9]+){3}|\\[::1\\])\\.?(:[0-9]+)?$", host,
                                G_REGEX_CASELESS, 0);
}

/* Also of "mirror+http://…", whose list would be fetched from there. */
static gboolean apt_is_of_host(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    const char *uri = g_strv_length(words) < 2 ? "" : words[1];
    if (g_regex_match_simple("^([a-z0-9.-]+\\+)*(file|copy|cdrom):", uri, G_REGEX_CASELESS, 0)) {
        return TRUE;
    }
    const char *rest = strstr(uri, "://");
    g_autofree char *host = rest == NULL ? NULL : g_strndup(rest + 3, strcspn(rest + 3, "/"));
    return host != NULL && apt_is_loopback(host);
}

char *apt_guest_lines(const char *lines)
{
    g_autoptr(GString) kept = g_string_new(NULL);
    g_auto(GStrv) list = g_strsplit(lines, "\n", -1);
    for (char **line = list; *line != NULL; line++) {
        if (**line != '\0' && !apt_is_of_host(*line)) {
            g_string_append_printf(kept, "%s\n", *line);
        }
    }
    return g_string_free(g_steal_pointer(&kept), FALSE);
}

gboolean apt_minds_age(gboolean *minds, GError **error)
{
    const char *argv[] = {"apt-config", "shell", "CHECK", "Acquire::Check-Valid-Until/b", NULL};
    g_autofree char *answer = ingot_process_output(argv, error);
    *minds = answer != NULL && strstr(answer, "false") == NULL; /* nothing where it is not set */
    return answer != NULL;
}

gboolean apt_settings(char **host, char **guest, GError **error)
{
    const char *argv[] = {"apt-config",
                          "dump",
                          "--format",
                          "%F \"%v\";%n",
                          "Acquire::http",
                          "Acquire::https",
                          "Acquire::Retries",
                          "Acquire::Check-Valid-Until",
                          "Acquire::Check-Date",
                          NULL};
    g_autofree char *dump = ingot_process_output(argv, error);
    if (dump == NULL) {
        return FALSE;
    }
    g_autoptr(GString) all = g_string_new(NULL);
    g_autoptr(GString) shared = g_string_new("Acquire::Languages \"none\";\n");
    g_auto(GStrv) lines = g_strsplit(dump, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if (strstr(*line, " \"\";") != NULL || **line == '\0') {
            continue; /* the name of a group alone */
        }
        g_string_append_printf(all, "%s\n", *line);
        if (g_str_has_prefix(*line, "Acquire::Check-")) {
            g_string_append_printf(shared, "%s\n", *line);
        }
    }
    g_string_append(all, "Acquire::Languages \"none\";\n");
    g_string_append(all, "Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\";\n");
    *host = g_string_free(g_steal_pointer(&all), FALSE);
    *guest = g_string_free(g_steal_pointer(&shared), FALSE);
    return TRUE;
}

/* A field of the InRelease file's head, or NULL. */
static char *apt_release_field(const char *text, const char *field)
{
    g_autofree char *start = g_strdup_printf("\n%s: ", field);
    const char *found = strstr(text, start);
    if (found == NULL) {
        return NULL;
    }
    found += strlen(start);
    return g_strndup(found, strcspn(found, "\n"));
}

gboolean apt_write_logins(const AptSources *sources, const char *path, GError **error)
{
    g_autoptr(GString) text = g_string_new(sources->logins);
    g_autofree char *own = NULL;
    if (g_file_get_contents(AUTH_CONF, &own, NULL, NULL)) { /* which apt could not read either, if this can't */
        g_string_append(text, own);
    }
    return ingot_file_replace(path, text->str, text->len, 0600, error);
}

/* apt-helper tells its progress on stdout and its reasons on stderr. */
static char *apt_fetch_release(const char *uri, const char *suite, const char *workdir, GError **error)
{
    g_autofree char *url = g_strdup_printf("%s/dists/%s/InRelease", uri, suite);
    g_autofree char *path = g_build_filename(workdir, "InRelease", NULL);
    g_autofree char *logins = g_strdup_printf("Dir::Etc::netrc=%s/" APT_LOGINS, workdir);
    const char *argv[] = {APT_HELPER, "-o", "APT::Sandbox::User=root", "-o", logins, "download-file", url, path, NULL};
    if (unlink(path) != 0 && errno != ENOENT) {
        ingot_error_set_errno(error, errno, "%s", path);
        return NULL;
    }
    if (!ingot_process_run(argv, NULL, NULL, error)) {
        g_prefix_error(error, "%s: ", url);
        return NULL;
    }
    g_autoptr(GBytes) bytes = ingot_file_read(path, RELEASE_MAX, error);
    return bytes == NULL ? NULL : g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

/* What is gathered line by line. */
typedef struct {
    const char *distribution, *workdir;
    gboolean named; /* as in AptSources */
    GString *lines;
    IngotHasher *hasher;
    gint64 time;
    char *expired;
} AptQuery;

static gboolean apt_is_expired(const char *release)
{
    g_autofree char *until = apt_release_field(release, "Valid-Until");
    time_t when = until == NULL ? -1 : curl_getdate(until, NULL);
    return when >= 0 && when < g_get_real_time() / G_USEC_PER_SEC;
}

static gboolean apt_ask(AptQuery *query, const char *line, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    g_autofree char *text = apt_fetch_release(words[1], words[2], query->workdir, error);
    if (text == NULL) {
        return FALSE;
    }
    g_autofree char *origin = apt_release_field(text, "Origin");
    g_autofree char *date = apt_release_field(text, "Date");
    if (!query->named && (origin == NULL || g_ascii_strcasecmp(origin, query->distribution) != 0)) {
        return TRUE;
    }
    time_t when = date == NULL ? -1 : curl_getdate(date, NULL);
    if (when < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s/dists/%s/InRelease: no date in it", words[1],
                    words[2]);
        return FALSE;
    }
    g_string_append_printf(query->lines, "%s\n", line);
    ingot_hasher_add(query->hasher, line, strlen(line) + 1);
    ingot_hasher_add(query->hasher, text, strlen(text) + 1);
    query->time = MAX(query->time, (gint64)when);
    if (query->expired == NULL && apt_is_expired(text)) {
        query->expired = g_strdup_printf("%s/dists/%s/InRelease", words[1], words[2]);
    }
    return TRUE;
}

void apt_state_clear(AptState *state)
{
    g_clear_pointer(&state->lines, g_free);
    g_clear_pointer(&state->digest, g_free);
    g_clear_pointer(&state->expired, g_free);
}

static char *apt_finish(IngotHasher *hasher)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_hasher_finish(hasher, &digest);
    ingot_digest_write_text(&digest, text);
    return g_strdup(text + strlen("sha256:"));
}

gboolean apt_state(const AptSources *sources, const char *distribution, const char *workdir, AptState *state,
                   GError **error)
{
    g_autofree char *logins = g_build_filename(workdir, APT_LOGINS, NULL);
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    g_auto(GStrv) list = g_strsplit(sources->lines, "\n", -1);
    AptQuery query = {
        .distribution = distribution, .workdir = workdir, .named = sources->named, .lines = lines, .hasher = hasher};
    gboolean ok = apt_write_logins(sources, logins, error);
    for (char **line = list; ok && *line != NULL; line++) {
        ok = **line == '\0' || apt_ask(&query, *line, error);
    }
    unlink(logins);
    g_autofree char *expired = query.expired;
    if (ok && lines->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "none of these apt sources is %s's own:\n%s", distribution,
                    sources->lines);
        return FALSE;
    }
    if (ok) {
        state->lines = g_string_free(g_steal_pointer(&lines), FALSE);
        state->digest = apt_finish(hasher);
        state->time = query.time;
        state->expired = g_steal_pointer(&expired);
    }
    return ok;
}

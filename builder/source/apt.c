#include "source/apt.h"

#include <curl/curl.h>
#include <errno.h>
#include <ingot/error.h>
#include <ingot/file.h>
#include <ingot/process.h>
#include <string.h>
#include <unistd.h>

#define RELEASE_MAX (8u << 20)
#define APT_HELPER "/usr/lib/apt/apt-helper"

static char *join(const json_t *words)
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
static gboolean belongs_to(const char *release, const char *suite)
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

char *apt_select(const char *listing, const char *suite, const char *components)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autoptr(GRegex) regex = g_regex_new("^'(\\S+)/dists/(\\S+)/InRelease' ", G_REGEX_MULTILINE, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_regex_match(regex, listing, 0, &match);
    while (g_match_info_matches(match)) {
        g_autofree char *uri = g_match_info_fetch(match, 1);
        g_autofree char *release = g_match_info_fetch(match, 2);
        if (belongs_to(release, suite)) {
            g_string_append_printf(lines, "deb %s %s %s\n", uri, release, components);
        }
        g_match_info_next(match, NULL);
    }
    return g_string_free(g_steal_pointer(&lines), FALSE);
}

char *apt_sources(const json_t *source, GError **error)
{
    const char *suite = json_string_value(json_object_get(source, "suite"));
    const char *mirror = json_string_value(json_object_get(source, "mirror"));
    g_autofree char *components = join(json_object_get(source, "components"));
    if (mirror != NULL) {
        return g_strdup_printf("deb %s %s %s\n", mirror, suite, components);
    }
    const char *argv[] = {"apt-get", "update", "--print-uris", "-o", "Debug::NoLocking=1", NULL};
    g_autofree char *listing = ingot_process_output(argv, error);
    if (listing == NULL) {
        g_prefix_error_literal(error, "this host's apt sources (name a source.bootstrap.mirror to do without them): ");
        return NULL;
    }
    g_autofree char *lines = apt_select(listing, suite, components);
    if (*lines == '\0') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "no apt source of this host has the suite '%s': name one as source.bootstrap.mirror", suite);
        return NULL;
    }
    return g_steal_pointer(&lines);
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
    if (g_file_test("/etc/apt/auth.conf", G_FILE_TEST_EXISTS)) {
        g_string_append(all, "Dir::Etc::netrc \"/etc/apt/auth.conf\";\n");
    }
    g_string_append(all, "Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\";\n");
    *host = g_string_free(g_steal_pointer(&all), FALSE);
    *guest = g_string_free(g_steal_pointer(&shared), FALSE);
    return TRUE;
}

/* A field of the InRelease file's head, or NULL. */
static char *release_field(const char *text, const char *field)
{
    g_autofree char *start = g_strdup_printf("\n%s: ", field);
    const char *found = strstr(text, start);
    if (found == NULL) {
        return NULL;
    }
    found += strlen(start);
    return g_strndup(found, strcspn(found, "\n"));
}

/* apt-helper tells its progress on stdout and its reasons on stderr. */
static char *fetch_release(const char *uri, const char *suite, const char *workdir, GError **error)
{
    g_autofree char *url = g_strdup_printf("%s/dists/%s/InRelease", uri, suite);
    g_autofree char *path = g_build_filename(workdir, "InRelease", NULL);
    const char *argv[] = {APT_HELPER, "-o", "APT::Sandbox::User=root", "download-file", url, path, NULL};
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

static gboolean add_state(const char *line, const char *distribution, const char *workdir, GString *kept,
                          gint64 *newest, GError **error)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    g_autofree char *text = fetch_release(words[1], words[2], workdir, error);
    if (text == NULL) {
        return FALSE;
    }
    g_autofree char *origin = release_field(text, "Origin");
    g_autofree char *date = release_field(text, "Date");
    if (origin == NULL || g_ascii_strcasecmp(origin, distribution) != 0) {
        return TRUE;
    }
    time_t when = date == NULL ? -1 : curl_getdate(date, NULL);
    if (when < 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s/dists/%s/InRelease: no date in it", words[1],
                    words[2]);
        return FALSE;
    }
    g_string_append_printf(kept, "%s\n", line);
    *newest = MAX(*newest, (gint64)when);
    return TRUE;
}

gboolean apt_state(const char *lines, const char *distribution, const char *workdir, char **sources, gint64 *time,
                   GError **error)
{
    g_autoptr(GString) kept = g_string_new(NULL);
    g_auto(GStrv) list = g_strsplit(lines, "\n", -1);
    *time = 0;
    for (char **line = list; *line != NULL; line++) {
        if (**line != '\0' && !add_state(*line, distribution, workdir, kept, time, error)) {
            return FALSE;
        }
    }
    if (kept->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "none of these apt sources is %s's own:\n%s", distribution,
                    lines);
        return FALSE;
    }
    *sources = g_string_free(g_steal_pointer(&kept), FALSE);
    return TRUE;
}

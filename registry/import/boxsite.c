#include "import/boxsite.h"

#include <ingot/error.h>
#include <ingot/options.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "import/boxdocument.h"
#include "import/boxlisting.h"
#include "import/boxpages.h"
#include "import/siteforms.h"
#include "remote/longtokens.h"
#include "remote/plain.h"

#define DOWNLOAD_MAX (1u << 20) /* bytes of an answer that tells a URL */

struct BoxSite {
    char *base, *name; /* base: without a slash at its end */
    char *folder;      /* of a site of files: what its boxes lie in; else NULL */
    gboolean is_document;
    SiteForm form; /* in which the last box was found */
    IngotRemoteOptions *options;
    GHashTable *tokens; /* "http://HOST:PORT" -> its token, or "" */
};

/* --- the site --- */

static gboolean is_file(const char *url)
{
    return g_str_has_prefix(url, "file://");
}

/* Its boxes lie in its folder, or in that of the document. */
static gboolean settle_folder(BoxSite *site, GError **error)
{
    g_autofree char *path = g_filename_from_uri(site->base, NULL, NULL);
    g_autofree char *real = path == NULL ? NULL : realpath(path, NULL);
    if (real == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND,
                    "%s: there is no such file or folder (file:///PATH is expected)", site->name);
        return FALSE;
    }
    site->is_document = !g_file_test(real, G_FILE_TEST_IS_DIR);
    site->folder = site->is_document ? g_path_get_dirname(real) : g_steal_pointer(&real);
    return TRUE;
}

BoxSite *box_site_new(const char *url, GError **error)
{
    g_autoptr(BoxSite) site = g_new0(BoxSite, 1);
    gsize length = strlen(url);
    while (length > 0 && url[length - 1] == '/') {
        length--;
    }
    site->base = g_strndup(url, length);
    site->name = ingot_text_url(site->base);
    site->options = ingot_remote_options_from_environment();
    site->tokens = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (!is_file(url) && !g_regex_match_simple("^https?://[^/]", url, G_REGEX_CASELESS, 0)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: the URL of a catalogue is expected, as in https://HOST, https://HOST/web.json or "
                    "file:///FOLDER",
                    site->name);
        return NULL;
    }
    site->is_document = g_str_has_suffix(site->base, ".json");
    return !is_file(url) || settle_folder(site, error) ? g_steal_pointer(&site) : NULL;
}

void box_site_free(BoxSite *site)
{
    g_free(site->base);
    g_free(site->name);
    g_free(site->folder);
    ingot_remote_options_free(site->options);
    g_hash_table_unref(site->tokens);
    g_free(site);
}

const char *box_site_name(const BoxSite *site)
{
    return site->name;
}

void site_box_free(SiteBox *box)
{
    vagrant_box_free(box->box);
    g_free(box->url);
    g_free(box);
}

/* --- tokens --- */

static char *find_token(const BoxSite *site, const char *scheme, const char *host)
{
    const LongTokens all = {site->options->tokens, site->options->token_host};
    char *token = NULL;
    gboolean trusted = strcmp(scheme, "https") == 0 || plain_is_trusted(site->options, host);
    return trusted && long_tokens_find(&all, host, scheme, &token, NULL) && token != NULL ? token : g_strdup("");
}

const char *box_site_token(BoxSite *site, const char *url)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_ENCODED | G_URI_FLAGS_NON_DNS, NULL);
    if (uri == NULL || g_uri_get_host(uri) == NULL || *g_uri_get_host(uri) == '\0') {
        return NULL;
    }
    g_autofree char *host = g_uri_get_port(uri) < 0
                                ? g_strdup(g_uri_get_host(uri))
                                : g_strdup_printf("%s:%d", g_uri_get_host(uri), g_uri_get_port(uri));
    g_autofree char *key = g_strconcat(g_uri_get_scheme(uri), "://", host, NULL);
    const char *token = g_hash_table_lookup(site->tokens, key);
    if (token == NULL) {
        token = find_token(site, g_uri_get_scheme(uri), host);
        g_hash_table_insert(site->tokens, g_steal_pointer(&key), (char *)token);
    }
    return *token == '\0' ? NULL : token;
}

/* --- documents --- */

static GBytes *site_get(const char *url, gsize limit, char **at, gpointer user, GError **error)
{
    BoxSite *site = user;
    const BoxDocumentWish wish = {.url = url, .token = box_site_token(site, url), .limit = limit};
    g_autofree char *name = ingot_text_url(url);
    return box_document(&wish, name, at, error);
}

static SiteBox *read_document(BoxSite *site, const char *url, const char *org, GError **error)
{
    g_autofree char *at = NULL, *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = site_get(url, VAGRANT_CATALOGUE_MAX, &at, site, error);
    VagrantBox *box = bytes == NULL
                          ? NULL
                          : vagrant_box_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), org, name, error);
    if (box == NULL) {
        return NULL;
    }
    SiteBox *found = g_new0(SiteBox, 1);
    *found = (SiteBox){box, g_steal_pointer(&at)};
    return found;
}

/* Whether another form is to be tried: the site does not have this one, or what it answers there is something else. */
static gboolean goes_on(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID);
}

static SiteBox *read_form(BoxSite *site, SiteForm form, const char *name, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(name, "/", 2);
    g_autofree char *url = site_form_box(form, site->base, parts[0], parts[1]);
    g_autoptr(SiteBox) found = read_document(site, url, parts[0], error);
    if (found == NULL || (form == SITE_HCP && !box_pages_complete(url, found->box, site_get, site, error))) {
        return NULL;
    }
    if (form == SITE_HCP) { /* what belongs to it lies below that */
        g_free(found->url);
        found->url = g_steal_pointer(&url);
    }
    site->form = form;
    return g_steal_pointer(&found);
}

/* The form that was right before comes first. */
static SiteBox *find_form(BoxSite *site, const char *name, GError **error)
{
    g_autoptr(GError) worst = NULL;
    SiteForm first = site->form;
    for (guint i = 0; i < SITE_FORMS; i++) {
        SiteForm form = i == 0 ? first : i <= (guint)first ? (SiteForm)(i - 1) : (SiteForm)i;
        g_autoptr(GError) problem = NULL;
        SiteBox *found = read_form(site, form, name, &problem);
        if (found != NULL) {
            return found;
        }
        if (!goes_on(problem)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        if (worst == NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
            worst = g_steal_pointer(&problem);
        }
    }
    if (worst == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: there is no box %s", site->name, name);
    } else {
        g_propagate_error(error, g_steal_pointer(&worst));
    }
    return NULL;
}

SiteBox *box_site_box(BoxSite *site, const char *name, GError **error)
{
    if (!site->is_document) {
        if (!site_name_check(name)) {
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the name of a box is expected, as ORG/BOX", name);
            return NULL;
        }
        return find_form(site, name, error);
    }
    g_autoptr(SiteBox) found = read_document(site, site->base, NULL, error);
    if (found != NULL && g_ascii_strcasecmp(found->box->name, name) != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: there is no box %s (it has %s)", site->name, name,
                    found->box->name);
        return NULL;
    }
    return g_steal_pointer(&found);
}

/* --- which boxes there are --- */

char **box_site_list(BoxSite *site, const char *org, GError **error)
{
    if (site->is_document) {
        g_autoptr(SiteBox) found = read_document(site, site->base, NULL, error);
        const char *const one[] = {found == NULL ? NULL : found->box->name, NULL};
        return found == NULL ? NULL : g_strdupv((char **)one);
    }
    if (site->folder != NULL) {
        return box_listing_of_folder(site->folder, org, error);
    }
    return box_listing_of_site(site->base, org, site_get, site, error);
}

/* --- their files --- */

/* HCP tells where a file is for some minutes only. */
static char *ask_url(BoxSite *site, const SiteBox *box, const VagrantVersion *version, const VagrantProvider *provider,
                     GError **error)
{
    g_autofree char *at = NULL;
    g_autofree char *url =
        g_strdup_printf("%s/version/%s/provider/%s/architecture/%s/download", box->url, version->version,
                        provider->name, provider->architecture == NULL ? "unknown" : provider->architecture);
    g_autofree char *name = ingot_text_url(url);
    g_autoptr(GBytes) bytes = site_get(url, DOWNLOAD_MAX, &at, site, error);
    g_autoptr(json_t) root = bytes == NULL ? NULL : ingot_json_parse_bytes(bytes, name, 1024, error);
    return root == NULL ? NULL : g_strdup(ingot_json_get_string(root, "url", name, error));
}

static gboolean check_scheme(const BoxSite *site, const char *url, GError **error)
{
    gboolean ok =
        g_regex_match_simple("^https?://", url, G_REGEX_CASELESS, 0) || (site->folder != NULL && is_file(url));
    if (!ok) {
        g_autofree char *name = ingot_text_url(url);
        g_autofree char *shown = ingot_text_line(name);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a box by the network is at an http or https URL",
                    shown);
    }
    return ok;
}

char *box_site_locate(BoxSite *site, const SiteBox *box, const VagrantVersion *version, const VagrantProvider *provider,
                      GError **error)
{
    if (provider->url == NULL && site->form != SITE_HCP) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "the catalogue has no URL for it");
        return NULL;
    }
    g_autofree char *told =
        provider->url == NULL ? ask_url(site, box, version, provider, error) : g_strdup(provider->url);
    g_autoptr(GError) problem = NULL;
    if (told == NULL) {
        return NULL;
    }
    g_autofree char *url = g_uri_resolve_relative(box->url, told, G_URI_FLAGS_ENCODED | G_URI_FLAGS_NON_DNS, &problem);
    if (url == NULL) {
        g_autofree char *shown = ingot_text_line(told);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it is not a URL: %s", shown, problem->message);
        return NULL;
    }
    return check_scheme(site, url, error) ? g_steal_pointer(&url) : NULL;
}

char *box_site_path(const BoxSite *site, const char *url, GError **error)
{
    if (site->folder == NULL || !is_file(url)) {
        return NULL;
    }
    g_autofree char *path = g_filename_from_uri(url, NULL, NULL);
    g_autofree char *real = path == NULL ? NULL : realpath(path, NULL);
    if (real == NULL || !g_file_test(real, G_FILE_TEST_IS_REGULAR)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: there is no such file", url);
        return NULL;
    }
    gsize length = strlen(site->folder);
    if (strncmp(real, site->folder, length) != 0 || real[length] != '/') {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: it lies outside of the catalogue's folder %s", url,
                    site->folder);
        return NULL;
    }
    return g_steal_pointer(&real);
}

#include "import/boximport.h"

#include <ingot/digest.h>
#include <ingot/error.h>
#include <ingot/reference.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "bundle/download.h"
#include "image/architecture.h"
#include "import/boximage.h"
#include "import/boxsum.h"
#include "vagrant/version.h"

#define TRIES 3u /* for a file, each by what the catalogue says then */

typedef struct {
    const BoxImport *import;
    const BoxSink *sink;
    BoxReport *report;
    BoxSite *site;
    GHashTable *left; /* what was left out by this run */
    gboolean wanted;  /* a box was one of those that are asked for */
} Walk;

/* A box that is being looked at. */
typedef struct {
    Walk *walk;
    char *name;       /* here */
    const char *told; /* as the site has it */
    SiteBox *found;
} Visit;

static void visit_clear(Visit *visit)
{
    g_free(visit->name);
    g_clear_pointer(&visit->found, site_box_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Visit, visit_clear)

/* --- what is told --- */

static void walk_tell(const Walk *walk, const char *prefix, const char *what, const char *why)
{
    g_autofree char *line = g_strdup_printf("%s%s%s%s", prefix, what, why == NULL ? "" : ": ", why == NULL ? "" : why);
    g_autofree char *plain = ingot_text_line(line);
    walk->sink->tell(plain, walk->sink->user);
}

/* What ends all of it, not this piece alone. */
static gboolean is_fatal(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NO_SPACE);
}

/* FALSE: it is given up. problem is taken. */
static gboolean walk_failed(const Walk *walk, const char *what, GError *problem, GError **error)
{
    if (is_fatal(problem)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    gboolean named = strstr(problem->message, what) != NULL;
    walk_tell(walk, "failed: ", named ? problem->message : what, named ? NULL : problem->message);
    walk->report->failed++;
    g_error_free(problem);
    return TRUE;
}

static void walk_leave(const Walk *walk, const char *name, const char *what, const char *why)
{
    walk->report->left++;
    if (g_hash_table_add(walk->left, g_strdup(what)) && walk->sink->leave(name, what, why, walk->sink->user)) {
        walk_tell(walk, "left out: ", what, why);
    }
}

/* --- one file --- */

static char *piece_what(const char *name, const VagrantVersion *version, const VagrantProvider *provider)
{
    return provider->architecture == NULL
               ? g_strdup_printf("%s %s, the box for %s", name, version->version, provider->name)
               : g_strdup_printf("%s %s, the box for %s (%s)", name, version->version, provider->name,
                                 provider->architecture);
}

/* Where it lies while it comes: another file where the catalogue says that it is another. Free it. */
static char *piece_path(const Walk *walk, const BoxPiece *piece)
{
    char hex[INGOT_DIGEST_TEXT_SIZE];
    IngotDigest digest;
    g_autofree char *key = g_strjoin(" ", piece->what, piece->provider->checksum, NULL);
    ingot_digest_of(key, strlen(key), &digest);
    ingot_digest_write_text(&digest, hex);
    return g_strconcat(walk->import->folder, "/", hex + strlen("sha256:"), ".box", NULL);
}

static gboolean check_sum(const char *path, const char *name, gpointer user, GError **error)
{
    return box_sum_check(user, path, name, error);
}

static guint64 smaller(guint64 a, guint64 b)
{
    return a == 0 ? b : b == 0 ? a : MIN(a, b);
}

static gboolean take_file(const Walk *walk, const BoxPiece *piece, const char *path, GError **error)
{
    GError *problem = NULL;
    if (walk->sink->take(piece, path, walk->sink->user, &problem)) {
        return TRUE;
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INVALID)) {
        walk->sink->refuse(piece, problem->message, walk->sink->user);
    }
    g_propagate_error(error, problem);
    return FALSE;
}

static gboolean take_download(Walk *walk, const BoxPiece *piece, const char *url, BoxSum *sum, GError **error)
{
    GError *problem = NULL;
    g_autofree char *path = piece_path(walk, piece), *part = g_strconcat(path, ".part", NULL);
    const IngotDownloadWish wish = {.url = url,
                                    .token = box_site_token(walk->site, url),
                                    .most = smaller(walk->import->most, piece->provider->size),
                                    .anew = sum->type == NULL,
                                    .passing = TRUE, /* what another run finds is checked again, or fetched anew */
                                    .check = check_sum,
                                    .user = sum};
    rename(path, part); /* of a run that ended while it was taken */
    if (!ingot_download_as(&wish, path, &walk->report->received, walk->import->progress, &problem)) {
        if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_LIMIT)) { /* nothing will go on with it */
            unlink(part);
        }
        g_propagate_error(error, problem);
        return FALSE;
    }
    gboolean ok = take_file(walk, piece, path, &problem);
    if (!g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        unlink(path);
    }
    if (!ok) {
        g_propagate_error(error, problem);
    }
    return ok;
}

/* As the catalogue says it now. */
static gboolean try_piece(Walk *walk, const SiteBox *found, BoxPiece *piece, GError **error)
{
    g_auto(BoxSum) sum = {0};
    if (!box_sum_parse(piece->provider->checksum_type, piece->provider->checksum, piece->what, &sum, error)) {
        return FALSE;
    }
    g_autoptr(GError) problem = NULL;
    g_autofree char *url = box_site_locate(walk->site, found, piece->version, piece->provider, error);
    g_autofree char *path = url == NULL ? NULL : box_site_path(walk->site, url, &problem);
    g_autofree char *name = url == NULL ? NULL : ingot_text_url(url);
    if (problem != NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    piece->url = name;
    gboolean ok =
        url != NULL && (path == NULL ? take_download(walk, piece, url, &sum, error)
                                     : box_sum_check(&sum, path, name, error) && take_file(walk, piece, path, error));
    piece->url = NULL;
    return ok;
}

/* --- a catalogue that changes --- */

static const VagrantVersion *find_version(const VagrantBox *box, const char *version)
{
    for (guint i = 0; i < box->versions->len; i++) {
        const VagrantVersion *one = g_ptr_array_index(box->versions, i);
        if (one->status == VAGRANT_ACTIVE && strcmp(one->version, version) == 0) {
            return one;
        }
    }
    return NULL;
}

/* Whether the site may say something else of the file when it is asked again. */
static gboolean may_have_changed(const GError *problem)
{
    return g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_DENIED) ||
           g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
}

static gboolean is_same_file(const VagrantProvider *a, const VagrantProvider *b)
{
    return g_strcmp0(a->checksum, b->checksum) == 0 && g_strcmp0(a->url, b->url) == 0;
}

static gboolean is_listed(const SiteBox *fresh, const BoxPiece *piece, GError **error)
{
    if (vagrant_version_provider(find_version(fresh->box, piece->version->version), piece->provider->name,
                                 piece->provider->architecture) == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: it has gone from the catalogue", piece->what);
        return FALSE;
    }
    return TRUE;
}

/* *piece: for as long as this runs, by what is read. */
static gboolean fetch_piece(const Visit *visit, BoxPiece *piece, GError **error)
{
    Walk *walk = visit->walk;
    g_autoptr(SiteBox) fresh = NULL;
    for (guint i = 1;; i++) {
        g_autoptr(GError) problem = NULL;
        if (try_piece(walk, fresh == NULL ? visit->found : fresh, piece, &problem)) {
            return TRUE;
        }
        gboolean other = g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_CORRUPT);
        SiteBox *now = i < TRIES && may_have_changed(problem) ? box_site_box(walk->site, visit->told, NULL) : NULL;
        if (now == NULL) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        g_autoptr(SiteBox) before = g_steal_pointer(&fresh);
        fresh = now;
        if (!is_listed(fresh, piece, error)) {
            return FALSE;
        }
        const VagrantProvider *was = piece->provider;
        piece->version = find_version(fresh->box, piece->version->version);
        piece->provider = vagrant_version_provider(piece->version, was->name, was->architecture);
        if (other && is_same_file(was, piece->provider)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
    }
}

/* --- one version --- */

gboolean box_import_wants(const BoxImport *import, const VagrantProvider *provider)
{
    const char *architecture = provider->architecture == NULL ? "unknown" : architecture_plain(provider->architecture);
    return (import->provider == NULL || strcmp(import->provider, provider->name) == 0) &&
           (import->architecture == NULL || strcmp(architecture_plain(import->architecture), architecture) == 0);
}

static gboolean has_plain_words(const VagrantProvider *provider)
{
    const char *const words[] = {provider->name, provider->architecture == NULL ? "unknown" : provider->architecture};
    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!g_regex_match_simple("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,40}$", words[i], G_REGEX_DOLLAR_ENDONLY, 0)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* *taken: it was, now or before. FALSE: all of it is given up. */
static gboolean visit_piece(const Visit *visit, BoxPiece *piece, gboolean *taken, GError **error)
{
    Walk *walk = visit->walk;
    BoxState state = BOX_LACKS;
    GError *problem = NULL;
    if (!walk->sink->state(piece, &state, walk->sink->user, &problem)) {
        return walk_failed(walk, piece->what, problem, error);
    }
    *taken = *taken || state == BOX_HAS || state == BOX_DIFFERS;
    walk->report->left += state == BOX_REFUSED;
    if (state == BOX_DIFFERS) {
        walk->report->kept++;
        if (walk->sink->leave(visit->name, piece->what, "another file", walk->sink->user)) {
            walk_tell(walk, "kept: ", piece->what, "the catalogue has another file under it now; what was taken stays");
        }
    }
    if (state != BOX_LACKS) {
        return TRUE;
    }
    g_autofree char *what = g_strdup(piece->what);
    if (!fetch_piece(visit, piece, &problem)) {
        return walk_failed(walk, what, problem, error);
    }
    walk->report->files++;
    *taken = TRUE;
    return TRUE;
}

static gboolean visit_provider(const Visit *visit, const VagrantVersion *version, const VagrantProvider *provider,
                               gboolean *taken, GError **error)
{
    g_autofree char *what = piece_what(visit->name, version, provider);
    g_autoptr(GError) problem = NULL;
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    if (!has_plain_words(provider)) {
        walk_leave(visit->walk, visit->name, what, "its provider or its architecture is no plain word");
        return TRUE;
    }
    if (box_image_form(provider->name, &problem) == NULL) { /* once for all versions */
        g_autofree char *all = g_strdup_printf("%s, boxes for %s", visit->name, provider->name);
        walk_leave(visit->walk, visit->name, all, problem->message);
        return TRUE;
    }
    BoxPiece piece = {.name = visit->name, .version = version, .provider = provider, .what = what};
    return visit_piece(visit, &piece, taken, error);
}

/* *why: NULL where the version is wanted; free it. FALSE: an error. */
static gboolean look_at(const Visit *visit, const VagrantVersion *version, char **why, GError **error)
{
    const BoxSink *sink = visit->walk->sink;
    *why = NULL;
    if (!ingot_tag_check(version->version, NULL)) {
        *why = g_strdup("a registry cannot have a tag of that name");
        return TRUE;
    }
    return sink->look(visit->name, version, why, sink->user, error);
}

static gboolean visit_version(const Visit *visit, const VagrantVersion *version, GError **error)
{
    Walk *walk = visit->walk;
    gboolean taken = FALSE;
    GError *problem = NULL;
    g_autofree char *what = g_strdup_printf("%s %s", visit->name, version->version), *why = NULL;
    if (!look_at(visit, version, &why, &problem)) {
        return walk_failed(walk, what, problem, error);
    }
    if (why != NULL) {
        walk_leave(walk, visit->name, what, why);
        return TRUE;
    }
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *provider = g_ptr_array_index(version->providers, i);
        if (!box_import_wants(walk->import, provider)) {
            continue;
        }
        walk->wanted = TRUE;
        if (!visit_provider(visit, version, provider, &taken, error)) {
            return FALSE;
        }
    }
    if (taken && !vagrant_version_is_readable(version->version)) {
        walk_leave(walk, visit->name, what,
                   "it is kept, but Vagrant cannot read that version, so no catalogue lists it");
    }
    return !taken || walk->sink->end(visit->name, version, walk->sink->user, &problem) ||
           walk_failed(walk, what, problem, error);
}

/* --- one box --- */

static gboolean visit_versions(const Visit *visit, GError **error)
{
    const char *only = visit->walk->import->version;
    gboolean any = only == NULL;
    for (guint i = 0; i < visit->found->box->versions->len; i++) {
        const VagrantVersion *version = g_ptr_array_index(visit->found->box->versions, i);
        if (version->status == VAGRANT_ACTIVE && (only == NULL || strcmp(only, version->version) == 0)) {
            any = TRUE;
            if (!visit_version(visit, version, error)) {
                return FALSE;
            }
        }
    }
    if (!any) {
        return walk_failed(visit->walk, visit->name,
                           g_error_new(INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "there is no version %s", only), error);
    }
    return TRUE;
}

static gboolean visit_box(Walk *walk, const char *told, GError **error)
{
    GError *problem = NULL;
    g_auto(Visit) visit = {.walk = walk, .name = g_ascii_strdown(told, -1), .told = told};
    if (!ingot_interrupt_check(error)) {
        return FALSE;
    }
    walk->report->boxes++;
    if (!ingot_name_check(visit.name, &problem) || (visit.found = box_site_box(walk->site, told, &problem)) == NULL ||
        !walk->sink->begin(visit.name, visit.found->box, walk->sink->user, &problem)) {
        return walk_failed(walk, visit.name, problem, error);
    }
    return visit_versions(&visit, error);
}

static gboolean visit_list(Walk *walk, const char *org, GError **error)
{
    g_auto(GStrv) names = box_site_list(walk->site, org, error);
    for (guint i = 0; names != NULL && names[i] != NULL; i++) {
        if (!visit_box(walk, names[i], error)) {
            return FALSE;
        }
    }
    return names != NULL;
}

static gboolean visit_name(Walk *walk, const char *name, GError **error)
{
    if (!g_str_has_suffix(name, "/*")) {
        return visit_box(walk, name, error);
    }
    GError *problem = NULL;
    g_autofree char *org = g_strndup(name, strlen(name) - strlen("/*"));
    return visit_list(walk, org, &problem) || walk_failed(walk, name, problem, error);
}

static gboolean visit_all(Walk *walk, GError **error)
{
    const char *const *names = walk->import->names;
    if (names == NULL || names[0] == NULL) {
        return visit_list(walk, NULL, error);
    }
    for (guint i = 0; names[i] != NULL; i++) {
        if (!visit_name(walk, names[i], error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Where something failed, that is told, and may be what was asked for. */
static gboolean check_wanted(const Walk *walk, GError **error)
{
    const BoxImport *import = walk->import;
    if (walk->wanted || walk->report->failed > 0 || (import->provider == NULL && import->architecture == NULL)) {
        return TRUE;
    }
    g_autofree char *provider = import->provider == NULL ? NULL : g_strconcat(" for ", import->provider, NULL),
                    *architecture =
                        import->architecture == NULL ? NULL : g_strdup_printf(" (%s)", import->architecture),
                    *from = ingot_text_url(import->from);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s: what was asked for has no box%s%s", from,
                provider == NULL ? "" : provider, architecture == NULL ? "" : architecture);
    return FALSE;
}

gboolean box_import(const BoxImport *import, BoxReport *report, GError **error)
{
    memset(report, 0, sizeof *report);
    g_autoptr(BoxSite) site = box_site_new(import->from, error);
    g_autoptr(GHashTable) left = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Walk walk = {.import = import, .sink = import->sink, .report = report, .site = site, .left = left};
    return site != NULL && ingot_file_make_folder(import->folder, error) && visit_all(&walk, error) &&
           check_wanted(&walk, error);
}

/* The boxes of an image at a site, and the catalogue by which Vagrant finds them. */
#include <ingot/error.h>
#include <ingot/format.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/publish/publication.h"
#include "vagrant/catalogue.h"
#include "vagrant/providers.h"
#include "vagrant/version.h"

/* The version as the catalogue gets it. */
typedef struct {
    const Publication *publication;
    VagrantVersion *version;
    const VagrantBox *before; /* the catalogue as it is found; NULL: there is none */
    gboolean again;           /* its boxes of this version are this image's */
} Listing;

/* --- the catalogue --- */

static char *catalogue_path(const Publication *publication)
{
    return g_strconcat(publication->name, ".json", NULL);
}

/* *box NULL: there is none. */
static gboolean parse_catalogue(const Publication *publication, GBytes *bytes, VagrantBox **box, GError **error)
{
    gsize size;
    const void *data = bytes == NULL ? NULL : g_bytes_get_data(bytes, &size);
    g_autofree char *path = catalogue_path(publication), *what = site_name(publication->site, path);
    *box = data == NULL ? NULL : vagrant_box_parse(data, size, NULL, what, error);
    return bytes == NULL || *box != NULL;
}

static gboolean same_box(const VagrantProvider *one, const VagrantProvider *other)
{
    return strcmp(one->name, other->name) == 0 && g_strcmp0(one->architecture, other->architecture) == 0;
}

static VagrantProvider *copy_provider(const VagrantProvider *of)
{
    VagrantProvider *provider = vagrant_provider_new(of->name);
    provider->architecture = g_strdup(of->architecture);
    provider->is_default = of->is_default;
    provider->url = g_strdup(of->url);
    provider->checksum = g_strdup(of->checksum);
    provider->checksum_type = g_strdup(of->checksum_type);
    return provider;
}

static void set_provider(VagrantVersion *version, const VagrantProvider *provider)
{
    for (guint i = version->providers->len; i-- > 0;) {
        if (same_box(g_ptr_array_index(version->providers, i), provider)) {
            g_ptr_array_remove_index(version->providers, i);
        }
    }
    g_ptr_array_add(version->providers, copy_provider(provider));
}

/* Newest first; what Vagrant can't read, as another program may have written it, last. */
static gint newest_first(gconstpointer a, gconstpointer b)
{
    const char *one = (*(VagrantVersion *const *)a)->version, *other = (*(VagrantVersion *const *)b)->version;
    gboolean reads = vagrant_version_is_readable(one), reads_other = vagrant_version_is_readable(other);
    return reads && reads_other ? vagrant_version_compare(other, one) : (gint)reads_other - (gint)reads;
}

/* What people wrote of the box and of the version, where the image comes from. */
static void take_words(const Publication *publication, VagrantBox *box, VagrantVersion *version)
{
    const VagrantBox *words = publication->words;
    const VagrantVersion *there = vagrant_box_version(words, publication->words_tag);
    if (words != NULL && words->description != NULL) {
        g_free(box->description);
        box->description = g_strdup(words->description);
    }
    if (words != NULL && words->short_description != NULL) {
        g_free(box->short_description);
        box->short_description = g_strdup(words->short_description);
    }
    if (there != NULL && there->description != NULL) {
        g_free(version->description);
        version->description = g_strdup(there->description);
    }
}

static GBytes *change_catalogue(GBytes *bytes, gpointer user, GError **error)
{
    const Listing *listing = user;
    const Publication *publication = listing->publication;
    g_autoptr(VagrantBox) box = NULL;
    if (!parse_catalogue(publication, bytes, &box, error)) {
        return NULL;
    }
    if (box == NULL) {
        box = vagrant_box_new(publication->name);
        box->description = g_strdup_printf("%s, published by Ingot", publication->name);
    }
    VagrantVersion *version = vagrant_box_version(box, publication->tag);
    if (version == NULL) {
        version = vagrant_version_new(publication->tag);
        g_ptr_array_add(box->versions, version);
    }
    for (guint i = 0; i < listing->version->providers->len; i++) {
        set_provider(version, g_ptr_array_index(listing->version->providers, i));
    }
    take_words(publication, box, version);
    g_ptr_array_sort(box->versions, newest_first);
    g_autoptr(json_t) json = vagrant_box_json(box, NULL, NULL);
    char *text = ingot_json_pretty(json);
    return g_bytes_new_take(text, strlen(text));
}

/* By two names: Vagrant asks a server for NAME, and a server of files knows that NAME.json is JSON. */
static gboolean write_catalogue(Listing *listing, GError **error)
{
    const Publication *publication = listing->publication;
    g_autofree char *path = catalogue_path(publication);
    return site_change(publication->site, path, "application/json", VAGRANT_CATALOGUE_MAX, change_catalogue, listing,
                       error) &&
           site_change(publication->site, publication->name, "application/json", VAGRANT_CATALOGUE_MAX,
                       change_catalogue, listing, error);
}

/* --- a box --- */

static char *box_path(const Publication *publication, const VagrantProvider *provider)
{
    return g_strdup_printf("boxes/%s/%s/%s/%s.box", publication->name, publication->tag, provider->name,
                           provider->architecture);
}

/* A box of this very image that is there already: its sum is the catalogue's. */
static gboolean take_sum(const Listing *listing, const char *path, VagrantProvider *provider, gboolean *taken,
                         GError **error)
{
    const VagrantProvider *listed = vagrant_version_provider(
        vagrant_box_version(listing->before, listing->publication->tag), provider->name, provider->architecture);
    guint64 size;
    *taken = FALSE;
    if (!listing->again || listed == NULL || g_strcmp0(listed->checksum_type, "sha256") != 0) {
        return TRUE;
    }
    if (!site_find(listing->publication->site, path, taken, &size, error)) {
        return FALSE;
    }
    provider->checksum = *taken ? g_strdup(listed->checksum) : NULL;
    return TRUE;
}

static gboolean check_size(const Publication *publication, const char *provider, guint64 size, GError **error)
{
    g_autofree char *is = ingot_text_size(size), *most = ingot_text_size(publication->max_size);
    if (size <= publication->max_size) {
        return TRUE;
    }
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_LIMIT,
                "%s:%s: its box for %s has %s, and an object may have %s (--max-size); Vagrant takes no box in parts: "
                "leave it out (--provider names the others)",
                publication->name, publication->tag, provider, is, most);
    return FALSE;
}

static gboolean send_box(const Publication *publication, const char *file, const char *path, VagrantProvider *provider,
                         GError **error)
{
    SiteObject object = {.path = file, .type = "application/octet-stream", .gives = TRUE};
    char text[INGOT_DIGEST_TEXT_SIZE];
    if (!ingot_digest_of_file(file, &object.digest, &object.size, error) ||
        !check_size(publication, provider->name, object.size, error)) {
        return FALSE;
    }
    ingot_digest_write_text(&object.digest, text);
    provider->checksum = g_strdup(text + strlen("sha256:"));
    ingot_progress_begin(publication->progress, object.size, "publish %s:%s, its box for %s", publication->name,
                         publication->tag, provider->name);
    if (!site_put(publication->site, path, &object, error)) {
        ingot_progress_drop(publication->progress);
        return FALSE;
    }
    ingot_progress_end(publication->progress, NULL);
    return TRUE;
}

static gboolean make_box(const Publication *publication, const VagrantForm *form, const IngotFormatInput *input,
                         const char *path, VagrantProvider *provider, GError **error)
{
    g_autofree char *file = ingot_workdir_file(publication->work, form->file);
    const IngotFormat *format = ingot_format_find(form->format, error);
    if (format == NULL) {
        return FALSE;
    }
    ingot_progress_begin(publication->progress, ingot_image_size(publication->image), "make %s:%s a box for %s",
                         publication->name, publication->tag, form->provider);
    if (!ingot_format_export(format, input, file, publication->progress, error)) {
        ingot_progress_drop(publication->progress);
        return FALSE;
    }
    ingot_progress_end(publication->progress, NULL);
    return send_box(publication, file, path, provider, error) &&
           (!g_file_test(file, G_FILE_TEST_EXISTS) || ingot_file_remove_tree(file, error));
}

static gboolean add_box(Listing *listing, const VagrantForm *form, const IngotFormatInput *input, GError **error)
{
    const Publication *publication = listing->publication;
    const char *architecture = publication->architecture;
    VagrantProvider *provider = vagrant_provider_new(form->provider);
    gboolean taken;
    g_ptr_array_add(listing->version->providers, provider);
    provider->architecture = g_strdup(architecture == NULL ? "unknown" : architecture);
    /* The default is what a machine of another architecture takes too: only what most machines can run. */
    provider->is_default = architecture == NULL || strcmp(architecture, "amd64") == 0;
    provider->checksum_type = g_strdup("sha256");
    g_autofree char *path = box_path(publication, provider);
    provider->url = g_strconcat(publication->base, "/", path, NULL);
    return take_sum(listing, path, provider, &taken, error) &&
           (taken || make_box(publication, form, input, path, provider, error));
}

/* --- all of them --- */

/* Whether the image becomes a box for that provider. Where it was asked for by name and the image can't, that is said.
 */
static gboolean is_for(const Publication *publication, const VagrantForm *form, const IngotFormatInput *input)
{
    const json_t *outputs = json_object_get(publication->image->config, "outputs");
    const IngotFormat *format = ingot_format_find(form->format, NULL);
    gboolean named = publication->providers != NULL && g_strv_contains(publication->providers, form->provider);
    g_autoptr(GError) problem = NULL;
    if ((publication->providers != NULL && !named) ||
        (json_array_size(outputs) > 0 && !ingot_json_has_text(outputs, form->format))) {
        return FALSE;
    }
    gboolean can = format != NULL && ingot_format_can(format, input, &problem);
    if (!can && named && problem != NULL) {
        ingot_progress_warning(publication->progress, "%s:%s: no box for %s: %s", publication->name, publication->tag,
                               form->provider, problem->message);
    }
    return can;
}

static gboolean add_boxes(Listing *listing, GError **error)
{
    const Publication *publication = listing->publication;
    g_autoptr(IngotDisk) disk = ingot_image_disk(publication->image, error);
    const IngotFormatInput input = {.disk = disk, .config = publication->image->config, .name = publication->name};
    for (guint i = 0; disk != NULL && i < VAGRANT_FORMS; i++) {
        if (is_for(publication, &vagrant_forms[i], &input) && !add_box(listing, &vagrant_forms[i], &input, error)) {
            return FALSE;
        }
    }
    return disk != NULL;
}

static gboolean read_catalogue(const Publication *publication, VagrantBox **box, GError **error)
{
    g_autoptr(GBytes) bytes = NULL;
    g_autofree char *path = catalogue_path(publication);
    return site_read(publication->site, path, VAGRANT_CATALOGUE_MAX, &bytes, error) &&
           parse_catalogue(publication, bytes, box, error);
}

gboolean publish_boxes(const Publication *publication, gboolean again, GError **error)
{
    if (!ingot_tag_is_version(publication->tag) || !vagrant_version_is_readable(publication->tag)) {
        ingot_progress_message(publication->progress,
                               "%s:%s: not a version that Vagrant reads: the OCI layout alone has it",
                               publication->name, publication->tag);
        return TRUE;
    }
    g_autoptr(VagrantBox) before = NULL;
    g_autoptr(VagrantVersion) version = vagrant_version_new(publication->tag);
    Listing listing = {.publication = publication, .version = version, .again = again};
    if (!read_catalogue(publication, &before, error)) {
        return FALSE;
    }
    listing.before = before;
    if (!add_boxes(&listing, error)) {
        return FALSE;
    }
    if (version->providers->len == 0) {
        ingot_progress_message(publication->progress,
                               "%s:%s: a box for none of the providers: the OCI layout alone has it", publication->name,
                               publication->tag);
        return TRUE;
    }
    return write_catalogue(&listing, error);
}

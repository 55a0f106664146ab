#include <ingot/error.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/text.h"
#include "cli/common.h"
#include "cli/publish/awsaccess.h"
#include "cli/publish/publication.h"
#include "cli/publish/wanted.h"
#include "cli/verbs.h"
#include "image/architecture.h"
#include "remote/environment.h"
#include "remote/ours.h"
#include "transfer/asks.h"
#include "transfer/pull.h"
#include "vagrant/providers.h"

#define MAX_SIZE "5G" /* what S3 takes at once */

/* As given; free them. */
typedef struct {
    char *place, *base, *max_size, *name, *endpoint, *policy, *architecture;
    char **providers;
    char *when; /* --pull */
    gboolean all, allow;
} PublishOptions;

static void options_clear(PublishOptions *options)
{
    g_free(options->place);
    g_free(options->base);
    g_free(options->max_size);
    g_free(options->name);
    g_free(options->endpoint);
    g_free(options->policy);
    g_free(options->architecture);
    g_free(options->when);
    g_strfreev(options->providers);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishOptions, options_clear)

/* --- what is said --- */

static gboolean check_providers(char *const *providers, GError **error)
{
    const char *known[VAGRANT_FORMS + 1] = {0};
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        known[i] = vagrant_forms[i].provider;
    }
    for (; providers != NULL && *providers != NULL; providers++) {
        if (!g_strv_contains(known, *providers)) {
            g_autofree char *list = g_strjoinv(", ", (char **)known),
                            *suggestion = ingot_text_suggestion(*providers, known);
            g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--provider %s: %s are known%s", *providers, list,
                        suggestion);
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean parse_max_size(const PublishOptions *options, guint64 *size, GError **error)
{
    const char *text = options->max_size == NULL ? MAX_SIZE : options->max_size;
    if (!ingot_text_parse_size(text, size, error)) {
        g_prefix_error(error, "--max-size %s: ", text);
        return FALSE;
    }
    if (*size == 0 || (*size > S3_PUT_MAX && site_is_s3(options->place))) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--max-size %s: %s", text,
                    *size == 0 ? "no object has so few bytes" : "S3 takes objects of at most 5G at once");
        return FALSE;
    }
    return TRUE;
}

/* Where the objects are found by those who fetch them. What it is is asked of a folder alone; free it. */
static char *find_base(const PublishOptions *options, const Site *site, GError **error)
{
    g_autofree char *own = site_url(site);
    const char *base = options->base == NULL ? own : options->base;
    if (base == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: a catalogue names the URLs of its boxes: say where people will find this folder (--base "
                    "https://boxes.example, or --base file:///srv/boxes for those who mount it)",
                    options->place);
        return NULL;
    }
    if (!g_str_has_prefix(base, "https://") && !g_str_has_prefix(base, "http://") &&
        !g_str_has_prefix(base, "file:///")) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--base %s: https://, http:// or file:/// is expected",
                    base);
        return NULL;
    }
    gsize length = strlen(base);
    while (length > 0 && base[length - 1] == '/') {
        length--;
    }
    return g_strndup(base, length);
}

static Site *open_site(const PublishOptions *options, const IngotRemoteOptions *remote, GError **error)
{
    g_auto(S3Access) access = {.endpoint = g_strdup(options->endpoint)};
    const SiteOptions site = {
        .place = options->place, .s3 = &access, .remote = remote, .progress = ingot_command_progress()};
    if (!site_is_s3(options->place) && options->endpoint != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--endpoint is of an S3 server, and %s is a folder",
                    options->place);
        return NULL;
    }
    return site_is_s3(options->place) && !aws_access_find(&access, error) ? NULL : site_open(&site, error);
}

/* --- one image --- */

/* What the site itself has in its place would be in the way. */
static gboolean check_name(const char *name, GError **error)
{
    static const char *const own[] = {"boxes", "oci", NULL};
    g_auto(GStrv) parts = g_strsplit(name, "/", 2);
    if (g_strv_contains(own, parts[0])) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: what is published has its own things below %s/: give it another name there (--name)", name,
                    parts[0]);
        return FALSE;
    }
    return TRUE;
}

/* --name, or what the image is called. An image without a tag has none to be published by. */
static IngotReference *name_there(const PublishOptions *options, const IngotReference *image,
                                  const IngotStoreEntry *entry, GError **error)
{
    g_autoptr(IngotReference) there = options->name == NULL ? ingot_reference_new(NULL, image->name, NULL, NULL)
                                                            : ingot_reference_parse(options->name, error);
    if (there == NULL || !check_name(there->name, error)) {
        return NULL;
    }
    if (there->host != NULL || there->digest != NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "--name %s: NAME[:TAG] is expected", options->name);
        return NULL;
    }
    if (there->tag == NULL) {
        there->tag = g_strdup(image->tag != NULL ? image->tag : entry->tag);
    }
    if (there->tag == NULL) {
        g_autofree char *text = ingot_reference_to_text(image);
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: has no tag by which it could be published: give it one (--name %s:1.0.0)", text, there->name);
        return NULL;
    }
    return g_steal_pointer(&there);
}

/* Of a name that has none, NULL is kept. */
static void words_free(gpointer words)
{
    if (words != NULL) {
        vagrant_box_free(words);
    }
}

/* The catalogue of the name at its registry, which is asked once; NULL: it is no registry of Ingot's, say, or not
 * asked. words: of the names that were looked up. */
static const VagrantBox *words_of(GHashTable *words, const IngotReference *reference, IngotPull pull,
                                  const IngotRemoteOptions *options)
{
    g_autofree char *name = ingot_reference_local_name(reference);
    gpointer found = NULL;
    if (reference->host == NULL || pull == INGOT_PULL_NEVER ||
        g_hash_table_lookup_extended(words, name, NULL, &found)) {
        return found;
    }
    g_autofree char *path = g_strdup_printf("/vagrant/%s", reference->name);
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, options, NULL);
    g_autoptr(GBytes) bytes = remote == NULL ? NULL : ingot_remote_get_path(remote, path, VAGRANT_CATALOGUE_MAX, NULL);
    found = bytes == NULL ? NULL
                          : vagrant_box_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), NULL, name, NULL);
    g_hash_table_insert(words, g_steal_pointer(&name), found);
    return found;
}

static IngotImage *find_image(IngotStore *store, const Wanted *wanted, IngotPull pull, const IngotPullOptions *how,
                              GError **error)
{
    return wanted->is_entry ? pull_entry(store, wanted->reference, pull, how, error)
                            : ingot_transfer_image(store, wanted->reference, pull, how, error);
}

/* What all that is published has in common. */
typedef struct {
    Publication *publication;
    const PublishOptions *options;
    const WantedOptions *wanted;
    GHashTable *words; /* words_of */
    IngotPullOptions how;
} Publishing;

static gboolean publish_image(const Publishing *publishing, const IngotReference *reference, const IngotImage *image,
                              IngotPull pull, GError **error)
{
    gboolean again;
    Publication *publication = publishing->publication;
    g_autoptr(IngotReference) there = name_there(publishing->options, reference, image->entry, error);
    if (there == NULL) {
        return FALSE;
    }
    const char *architecture = json_string_value(json_object_get(image->config, "architecture"));
    publication->image = image;
    publication->name = there->name;
    publication->tag = there->tag;
    publication->words = words_of(publishing->words, reference, pull, publishing->how.remote);
    publication->words_tag = reference->tag == NULL ? image->entry->tag : reference->tag;
    publication->architecture = architecture_word(architecture);
    if (!ingot_store_hold_image(publication->store, image)) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_NOT_FOUND, "%s:%s: was removed meanwhile", there->name, there->tag);
        return FALSE;
    }
    if (!publish_layout_check(publication, &again, error) || !publish_layout(publication, error) ||
        !publish_boxes(publication, again, error)) {
        return FALSE;
    }
    g_autofree char *text =
        g_strdup_printf("%s/%s.json %s:%s", publication->base, there->name, there->name, there->tag);
    cli_print_result(text, &image->entry->manifest.digest);
    return TRUE;
}

/* *published FALSE: it was left out. */
static gboolean publish_wanted(const Publishing *publishing, const Wanted *wanted, gboolean *published, GError **error)
{
    IngotPull pull;
    GError *problem = NULL;
    *published = FALSE;
    if (!ingot_pull_parse(publishing->options->when, wanted->reference, &pull, error)) {
        return FALSE;
    }
    g_autoptr(IngotImage) image = find_image(publishing->publication->store, wanted, pull, &publishing->how, &problem);
    if (image == NULL && wanted_leaves_out(publishing->wanted, &problem)) {
        return TRUE;
    }
    if (image == NULL) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    *published = publish_image(publishing, wanted->reference, image, pull, error);
    return *published;
}

/* Where nothing is left, it is said why. */
static gboolean publish_all(Publication *publication, const PublishOptions *options, const WantedOptions *wanted,
                            const GPtrArray *images, GError **error)
{
    g_autoptr(GHashTable) words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, words_free);
    const Publishing publishing = {.publication = publication,
                                   .options = options,
                                   .wanted = wanted,
                                   .words = words,
                                   .how = {.progress = ingot_command_progress(), .remote = wanted->remote}};
    guint count = 0;
    for (guint i = 0; i < images->len; i++) {
        gboolean published;
        if (!publish_wanted(&publishing, g_ptr_array_index(images, i), &published, error)) {
            return FALSE;
        }
        count += published ? 1 : 0;
    }
    if (count == 0) {
        g_propagate_error(error, g_steal_pointer(wanted->left));
    }
    return count > 0;
}

static gboolean publish(const PublishOptions *options, char **texts, GError **error)
{
    guint64 max_size;
    if (options->place == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "--static DIR or --static s3://BUCKET/PREFIX is missing: where it is published");
        return FALSE;
    }
    g_autoptr(IngotRemoteOptions) remote = cli_remote_options(options->allow);
    if (!check_providers(options->providers, error) || !parse_max_size(options, &max_size, error)) {
        return FALSE;
    }
    g_autoptr(Site) site = open_site(options, remote, error);
    g_autofree char *base = site == NULL ? NULL : find_base(options, site, error);
    g_autoptr(IngotStore) store = base == NULL ? NULL : cli_store_to_read();
    g_autoptr(GError) left = NULL;
    const WantedOptions wanted = {.all = options->all,
                                  .ask = g_strcmp0(options->when, "never") != 0,
                                  .texts = (const char *const *)texts,
                                  .remote = remote,
                                  .progress = ingot_command_progress(),
                                  .left = &left};
    g_autoptr(GPtrArray) images = store == NULL ? NULL : wanted_find(store, &wanted, error);
    g_autoptr(IngotWorkdir) work = images == NULL ? NULL : ingot_workdir_new(error);
    Publication publication = {.site = site,
                               .store = store,
                               .work = work,
                               .progress = ingot_command_progress(),
                               .base = base,
                               .providers = (const char *const *)options->providers,
                               .max_size = max_size};
    return work != NULL && publish_all(&publication, options, &wanted, images, error);
}

static gboolean run(int argc, char **argv, GError **error)
{
    g_auto(PublishOptions) options = {0};
    const GOptionEntry entries[] = {
        {"static", 0, 0, G_OPTION_ARG_FILENAME, &options.place, "the folder, or the bucket, to write it to",
         "DIR|s3://BUCKET/PREFIX"},
        {"base", 0, 0, G_OPTION_ARG_STRING, &options.base, "where people find it (S3: the bucket's own URL)", "URL"},
        {"all", 'a', 0, G_OPTION_ARG_NONE, &options.all, "all versions of the names that can be had", NULL},
        {"name", 0, 0, G_OPTION_ARG_STRING, &options.name, "call it so there, as the version it is", "NAME[:VERSION]"},
        {"provider", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.providers,
         "make boxes for this provider alone (may be repeated)", "NAME"},
        {"arch", 0, 0, G_OPTION_ARG_STRING, &options.architecture,
         "of a name that stands for images of several architectures, the one for this alone", "ARCH"},
        {"max-size", 0, 0, G_OPTION_ARG_STRING, &options.max_size, "bytes that an object may have (" MAX_SIZE ")",
         "SIZE"},
        {"endpoint", 0, 0, G_OPTION_ARG_STRING, &options.endpoint, "of an S3 server that is not Amazon's", "URL"},
        CLI_PULL_OPTION(options.when),
        CLI_ALLOW_OPTION(options.allow),
        CLI_POLICY_OPTION(options.policy),
        G_OPTION_ENTRY_NULL};
    if (!ingot_command_options(&verb_publish, entries, 1, -1, &argc, &argv, error)) {
        return FALSE;
    }
    environment_use_policy(options.policy);
    environment_use_architecture(options.architecture);
    return publish(&options, argv + 1, error);
}

const IngotVerb verb_publish = {
    "publish", "IMAGE...", "write images as files for any web server: Vagrant's catalogue, boxes, an OCI layout",
    "For each image the folder (or the bucket) gets its boxes, its name's catalogue, by which an unmodified Vagrant\n"
    "finds them, and the image itself in an OCI layout (oci/); what is there already is not written again. Boxes and\n"
    "blobs come first, the catalogue last, so that whoever reads finds whole things at any time, and several may\n"
    "publish at once. A version that is there as another image is refused. S3 is asked with the login that AWS's own\n"
    "tools use (AWS_ACCESS_KEY_ID, AWS_PROFILE, ...).\n\n"
    "Examples:\n  ingot publish --static /srv/www --base https://boxes.example team/web:1.0.0\n"
    "  ingot publish --static s3://boxes/vagrant --all registry.example/team/web\n"
    "  vagrant box add https://boxes.example/team/web.json\n",
    run};

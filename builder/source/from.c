/* Another image as the source: of the store, pulled into it, or just built from its recipe. A tag is asked once for
 * its digest, and that image is built on and recorded. Its disk is kept in the cache as a raw file by the digest of its
 * manifest, so a tag that moves gives another file, and two builds of one base share it. */
#include <ingot/disk.h>
#include <ingot/error.h>
#include <ingot/format.h>
#include <ingot/transfer.h>
#include <string.h>

#include "base/file.h"
#include "format/all.h"
#include "recipe/rows.h"
#include "recipe/rules.h"
#include "remote/environment.h"
#include "source/kept.h"
#include "source/kinds.h"
#include "transfer/admit.h"
#include "transfer/allowed.h"
#include "transfer/pull.h"

#define ARCHITECTURE "amd64" /* of the machines that are built */

/* What names the image: the recipe's reference, or what its parent recipe has given. */
static const char *from_name(const SourceContext *context, const json_t *source, GError **error)
{
    if (json_object_get(source, "path") == NULL) {
        return ingot_json_get_string(source, "reference", "source", error);
    }
    if (context->parent == NULL) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "source: the recipe %s has not been built yet",
                    json_string_value(json_object_get(source, "path")));
    }
    return context->parent;
}

static IngotReference *from_parse(const SourceContext *context, const json_t *source, GError **error)
{
    const char *text = from_name(context, source, error);
    return text == NULL ? NULL : ingot_reference_parse(text, error);
}

static char *from_ask_registry(IngotReference *reference, GError **error)
{
    IngotDescriptor manifest;
    g_autoptr(IngotRemoteOptions) found = ingot_remote_options_from_environment();
    IngotRemoteOptions own = *found;
    own.architecture = ARCHITECTURE;
    g_autoptr(IngotRemote) remote = ingot_remote_new(reference->host, &own, error);
    g_autoptr(GBytes) bytes =
        remote == NULL ? NULL : ingot_transfer_image_manifest(remote, reference, &manifest, error);
    return bytes == NULL ? NULL : ingot_digest_to_text(&manifest.digest);
}

/* What NAME:TAG is in such a list; NULL: nothing. */
static const IngotDigest *from_named(GPtrArray *entries, const IngotReference *reference)
{
    g_autofree char *name = ingot_reference_local_name(reference);
    for (guint i = 0; i < entries->len; i++) {
        const IngotStoreEntry *entry = g_ptr_array_index(entries, i);
        if (strcmp(entry->name, name) == 0 && g_strcmp0(entry->tag, reference->tag) == 0) {
            return &entry->manifest.digest;
        }
    }
    return NULL;
}

/* The manifest digest that a reference stands for now. A tag of a registry is asked there: it may have moved. One that
 * is missing is chosen there, and set. */
static char *from_resolve(const SourceContext *context, IngotReference *reference, GError **error)
{
    if (reference->digest != NULL) {
        return g_strdup(reference->digest);
    }
    if (reference->host != NULL) {
        return from_ask_registry(reference, error);
    }
    g_autoptr(IngotStoreEntry) entry = ingot_store_find_for(context->store, reference, ARCHITECTURE, error);
    return entry == NULL ? NULL : ingot_digest_to_text(&entry->manifest.digest);
}

/* The image that a name stood for when it was asked. */
typedef struct {
    char *name; /* as the recipe, or the parent's build, has it */
    char *digest;
    IngotReference *exact; /* with the digest */
    gboolean moving;       /* the name was a tag */
    gboolean given;        /* by the build of another recipe, on this machine */
    IngotDigest *before;   /* what the tag was in the store then; NULL: nothing */
} FromImage;

static void from_free(gpointer data)
{
    FromImage *from = data;
    g_free(from->name);
    g_free(from->digest);
    g_free(from->before);
    g_clear_pointer(&from->exact, ingot_reference_free);
    g_free(from);
}

static gpointer from_identify(const SourceContext *context, const json_t *source, IngotHasher *hasher, GError **error)
{
    g_autoptr(IngotReference) reference = from_parse(context, source, error);
    /* Before the registry is asked: another process may ask it later, and be done first. */
    g_autoptr(GPtrArray) before = reference == NULL ? NULL : ingot_store_list(context->store, error);
    g_autofree char *digest = before == NULL ? NULL : from_resolve(context, reference, error);
    if (digest == NULL) {
        return NULL;
    }
    source_add_text(hasher, "from");
    source_add_text(hasher, digest);
    FromImage *from = g_new0(FromImage, 1);
    from->name = g_strdup(from_name(context, source, NULL));
    from->moving = reference->digest == NULL;
    from->given = json_object_get(source, "path") != NULL;
    from->before = g_memdup2(from_named(before, reference), sizeof *from->before);
    from->exact = ingot_reference_new(reference->host, reference->name, reference->tag, digest);
    from->digest = g_steal_pointer(&digest);
    return from;
}

/* The name of the image's disk among the sources. Free it. */
static char *from_disk_name(const char *digest)
{
    return g_strdup_printf("from-%s/disk.raw", digest + strlen("sha256:"));
}

/* Where the image's disk is kept. Free it. */
static char *from_disk(const SourceContext *context, const char *digest)
{
    g_autofree char *name = from_disk_name(digest);
    return source_kept(context, name);
}

/* Where it is, or is to be made. Free it. */
static char *from_place(const SourceContext *context, const char *digest, GError **error)
{
    g_autofree char *name = from_disk_name(digest);
    g_autofree char *kept = from_disk(context, digest);
    return !context->refresh && g_file_test(kept, G_FILE_TEST_EXISTS) ? g_steal_pointer(&kept)
                                                                      : source_place(context, name, error);
}

static char *from_unpack(const SourceContext *context, IngotImage *image, const char *digest, GError **error)
{
    g_autofree char *path = from_place(context, digest, error);
    g_autofree char *folder = path == NULL ? NULL : g_path_get_dirname(path);
    g_autoptr(GError) reads = NULL;
    g_autoptr(IngotLock) lock = folder == NULL ? NULL : source_lock(folder, &reads, error);
    if (lock == NULL) {
        return NULL;
    }
    KeptState kept = context->refresh ? KEPT_NONE : kept_find(path, context->progress, error);
    if (kept != KEPT_NONE) {
        return kept == KEPT_WHOLE ? g_steal_pointer(&path) : NULL;
    }
    if (reads != NULL) {
        g_propagate_error(error, g_steal_pointer(&reads));
        return NULL;
    }
    if (!ingot_file_make_folder(folder, error)) {
        return NULL;
    }
    /* Under the lock: a file of that name is what a killed build left. */
    g_autofree char *making = g_strconcat(path, ".making", NULL);
    g_autoptr(IngotDisk) disk = ingot_image_only_disk(image, error);
    if (disk == NULL || !kept_remove(making, error)) {
        return NULL;
    }
    ingot_progress_begin(context->progress, ingot_image_size(image), "unpack %s", image->entry->name);
    if (!ingot_format_export(&format_raw, &(IngotFormatInput){.disk = disk}, making, context->progress, error) ||
        !kept_publish(making, path, context->progress, error)) {
        kept_remove(making, NULL);
        return NULL;
    }
    ingot_progress_end(context->progress, NULL);
    ingot_image_remember(image, disk);
    return g_steal_pointer(&path);
}

/* What stands in text between a word and the next one of these characters, or NULL. Free it. */
static char *from_between(const char *text, const char *word, const char *ends)
{
    const char *start = text == NULL ? NULL : strstr(text, word);
    return start == NULL ? NULL : g_strndup(start + strlen(word), strcspn(start + strlen(word), ends));
}

/* One package as Source has it, from its SPDX form; type and architecture stand in the package's URL alone. */
static json_t *from_package(const json_t *spdx)
{
    const json_t *reference = json_array_get(json_object_get(spdx, "externalRefs"), 0);
    const char *url = json_string_value(json_object_get(reference, "referenceLocator"));
    g_autofree char *type = from_between(url, "pkg:", "/"), *architecture = from_between(url, "?arch=", "&");
    json_t *package = json_object();
    ingot_json_set_string(package, "name", json_string_value(json_object_get(spdx, "name")));
    ingot_json_set_string(package, "version", json_string_value(json_object_get(spdx, "versionInfo")));
    ingot_json_set_string(package, "architecture", architecture);
    ingot_json_set_string(package, "type", g_strcmp0(type, "deb") == 0 ? NULL : type);
    return package;
}

/* The packages that the image's own SPDX document lists, for an image that is passed on as it is; NULL where it has
 * none. */
static gboolean from_read_packages(const SourceContext *context, const IngotImage *image, json_t **packages,
                                   GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(GBytes) bytes = ingot_store_attached(context->store, &image->entry->manifest, INGOT_TYPE_SPDX, &problem);
    if (bytes == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        return TRUE;
    }
    if (bytes == NULL) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return FALSE;
    }
    g_autoptr(json_t) document =
        ingot_json_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "the source's package list", error);
    json_t *listed =
        document == NULL ? NULL : ingot_json_get_array(document, "packages", "the source's package list", error);
    if (listed == NULL) {
        return FALSE;
    }
    *packages = json_array();
    for (size_t i = 0; i < json_array_size(listed); i++) {
        json_array_append_new(*packages, from_package(json_array_get(listed, i)));
    }
    return TRUE;
}

static void from_describe(Source *made, const IngotImage *image, const FromImage *from)
{
    static const char *const inherited[] = {"os", "firmware"};
    for (guint i = 0; i < G_N_ELEMENTS(inherited); i++) {
        json_t *value = json_object_get(image->config, inherited[i]);
        if (value != NULL) {
            json_object_set(made->config, inherited[i], value);
        }
    }
    json_object_set_new(made->config, "base",
                        ingot_json_pack("{s:s, s:s}", "reference", from->name, "digest", from->digest));
    /* One that was only packed, or is of an Ingot that did not say so, may hold anything. */
    json_t *kept = json_object_get(json_object_get(image->config, "seal"), "keep");
    made->sealed = json_is_array(kept) ? json_incref(kept) : NULL;
}

/* A policy is for what comes from elsewhere: what another recipe has just given is taken, whatever its name. */
static IngotRemoteOptions *from_options(const FromImage *from)
{
    g_autoptr(IngotRemoteOptions) found = ingot_remote_options_from_environment();
    IngotRemoteOptions own = *found;
    own.policy = from->given ? NULL : found->policy;
    own.architecture = ARCHITECTURE;
    return ingot_remote_options_copy(&own);
}

/* Whether what the store has may be built on: its registry may have revoked it, or the policy refuse it. */
static gboolean from_may_use(const SourceContext *context, const FromImage *from, const IngotReference *asked,
                             const IngotImage *image, GError **error)
{
    g_autoptr(IngotRemoteOptions) remote = from_options(from);
    const IngotPullOptions options = {.progress = context->progress, .remote = remote};
    return allowed_stored(context->store, asked, image->entry, &options, error);
}

/* What the registry does not have any more was the tag's when the build began. */
static IngotImage *from_pull_tag(const SourceContext *context, const FromImage *from, GError **error)
{
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotRemoteOptions) remote = from_options(from);
    const IngotPullOptions options = {.progress = context->progress, .remote = remote};
    if (pull_since(context->store, from->exact, from->exact->tag, from->before, &options, &problem)) {
        return ingot_store_image_by_digest(context->store, from->exact, error);
    }
    if (g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED, "%s moved: %s", from->name, problem->message);
    } else {
        g_propagate_error(error, g_steal_pointer(&problem));
    }
    return NULL;
}

/* The image of a tag, which has given its digest before: the store's, or its registry's, which the tag names in the
 * store from then on, unless another process has moved it there meanwhile. CHANGED where the tag has left it. */
static IngotImage *from_open_tag(const SourceContext *context, const FromImage *from, GError **error)
{
    IngotReference *exact = from->exact;
    g_autoptr(IngotReference) named = ingot_reference_new(exact->host, exact->name, exact->tag, NULL);
    g_autoptr(GError) problem = NULL;
    g_autoptr(IngotImage) image = ingot_store_image_for(context->store, named, ARCHITECTURE, &problem);
    g_autofree char *digest = image == NULL ? NULL : ingot_digest_to_text(&image->entry->manifest.digest);
    if (digest != NULL && strcmp(digest, from->digest) == 0) {
        return from_may_use(context, from, named, image, error) ? g_steal_pointer(&image) : NULL;
    }
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (exact->host == NULL) {
        g_set_error(error, SOURCE_ERROR, SOURCE_ERROR_CHANGED, "%s moved", from->name);
        return NULL;
    }
    return from_pull_tag(context, from, error);
}

/* A pinned image that is in the store is that image, whatever its tag names by now: another build may have moved it. An
 * image that was asked for by its tag is not to be found any more once the tag has left it. */
static IngotImage *from_open(const SourceContext *context, const FromImage *from, GError **error)
{
    if (from->moving) {
        return from_open_tag(context, from, error);
    }
    g_autoptr(IngotRemoteOptions) remote = from_options(from);
    const IngotPullOptions options = {.progress = context->progress, .remote = remote};
    g_autoptr(IngotImage) pinned = ingot_store_image_by_digest(context->store, from->exact, NULL);
    return pinned == NULL ? ingot_transfer_image(context->store, from->exact, INGOT_PULL_MISSING, &options, error)
           : from_may_use(context, from, from->exact, pinned, error) ? g_steal_pointer(&pinned)
                                                                     : NULL;
}

/* What from_open would find in the store; NULL: it would pull. */
static IngotImage *from_stored(const SourceContext *context, const FromImage *from, const IngotReference *asked)
{
    if (!from->moving) {
        return ingot_store_image_by_digest(context->store, from->exact, NULL);
    }
    g_autoptr(IngotImage) image = ingot_store_image_for(context->store, asked, ARCHITECTURE, NULL);
    g_autofree char *digest = image == NULL ? NULL : ingot_digest_to_text(&image->entry->manifest.digest);
    return g_strcmp0(digest, from->digest) == 0 ? g_steal_pointer(&image) : NULL;
}

/* By the words of from_open. What is not in the store is judged by its registry's signatures, and is not pulled. */
static gboolean from_allow(const SourceContext *context, gconstpointer resolved, GError **error)
{
    const FromImage *from = resolved;
    const IngotReference *exact = from->exact;
    g_autoptr(IngotReference) asked = ingot_reference_new(exact->host, exact->name, from->moving ? exact->tag : NULL,
                                                          from->moving ? NULL : exact->digest);
    g_autoptr(IngotImage) image = from_stored(context, from, asked);
    if (image != NULL) {
        return from_may_use(context, from, asked, image, error);
    }
    IngotDigest digest;
    g_autoptr(IngotRemoteOptions) options = from_options(from);
    const IngotPullOptions pull = {.progress = context->progress, .remote = options};
    if (!ingot_digest_parse(from->digest, &digest, error)) {
        return FALSE;
    }
    if (exact->host == NULL) {
        return allowed_check(context->store, asked, &digest, &pull, error);
    }
    g_autoptr(IngotRemote) remote = ingot_remote_new(exact->host, options, error);
    return remote != NULL && admit_pull(context->store, remote, asked, &digest, &pull, error);
}

/* What is not in the store whole is pulled; NULL: nothing is. Free it. */
static char *from_due_pull(const SourceContext *context, const FromImage *from)
{
    g_autoptr(IngotImage) there = ingot_store_image_by_digest(context->store, from->exact, NULL);
    if (there != NULL || from->exact->host == NULL) {
        return NULL;
    }
    g_autoptr(IngotReference) named = ingot_reference_parse(from->name, NULL);
    return named != NULL && named->digest != NULL
               ? g_strdup_printf("%s is pulled first", from->name)
               : g_strdup_printf("%s (%s) is pulled first", from->name, from->digest);
}

static SourceLook from_look(const SourceContext *context, const json_t *source, gconstpointer resolved)
{
    (void)source;
    const FromImage *from = resolved;
    return (SourceLook){.disk = from_disk(context, from->digest), .fetch = from_due_pull(context, from)};
}

/* The machine of a build is an amd64 one, and so is the image that it gives. */
static gboolean from_fits_machine(const IngotImage *image, const FromImage *from, GError **error)
{
    const char *architecture = json_string_value(json_object_get(image->config, "architecture"));
    if (g_strcmp0(architecture, "amd64") != 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: it is an image for %s, and machines are built for amd64 alone", from->name, architecture);
        return FALSE;
    }
    return TRUE;
}

static Source *from_prepare(const SourceContext *context, const json_t *source, gconstpointer resolved, GError **error)
{
    (void)source;
    const FromImage *from = resolved;
    g_autoptr(IngotImage) image = from_open(context, from, error);
    g_autofree char *path = image == NULL || !from_fits_machine(image, from, error)
                                ? NULL
                                : from_unpack(context, image, from->digest, error);
    if (path == NULL) {
        return NULL;
    }
    g_autoptr(Source) made = source_new(g_steal_pointer(&path), "raw");
    from_describe(made, image, from);
    return from_read_packages(context, image, &made->packages, error) ? g_steal_pointer(&made) : NULL;
}

static const Key source_from_keys[] = {
    {.name = "from",
     .help = "NAME:VERSION or HOST/NAME:TAG, by digest with @sha256:HEX.",
     .kind = KIND_STRING,
     .required = TRUE,
     .as = "reference"},
    END,
};
static const Shape source_from_shape = {.name = "sourceFrom",
                                        .help = "An Ingot image of the store or of a registry.",
                                        .keys = source_from_keys,
                                        .rule = rule_from};
const Variant recipe_source_from = {"from", "from", &source_from_shape};

static const Key source_recipe_keys[] = {
    {.name = "recipe",
     .help = "The recipe's file, relative to this one's folder; or HOST/NAME@sha256:HEX or HOST/NAME:TAG of an image "
             "that carries it.",
     .kind = KIND_STRING,
     .required = TRUE,
     .as = "path"},
    END,
};
static const Shape source_recipe_shape = {.name = "sourceRecipe",
                                          .help =
                                              "The image of another recipe, which is built first where it is stale.",
                                          .keys = source_recipe_keys,
                                          .rule = rule_source_recipe};
const Variant recipe_source_recipe = {"recipe", "recipe", &source_recipe_shape};

const SourceKind source_from = {"from", from_identify, from_free, from_look, from_prepare, from_allow};
const SourceKind source_recipe = {"recipe", from_identify, from_free, from_look, from_prepare, from_allow};

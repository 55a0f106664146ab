/* A disk that somebody else made: a file here, or one that is fetched once and kept in the cache by its digest. What
 * lies in an OVA or a Vagrant box is taken out once, and kept there too. */
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "base/unchanged.h"
#include "bundle/bundle.h"
#include "bundle/checked.h"
#include "bundle/download.h"
#include "image/asmeant.h"
#include "image/ties.h"
#include "recipe/rows.h"
#include "source/imagemachine.h"
#include "source/kept.h"
#include "source/kinds.h"

#define BOOT_SIGNATURE_OFFSET 510 /* of the first sector, whatever partition table follows */

/* Its digest, as the recipe has it. */
static gpointer image_identify(const SourceContext *context, const json_t *source, IngotHasher *hasher, GError **error)
{
    (void)context;
    const char *sha256 = ingot_json_get_string(source, "sha256", "source", error);
    const char *format = json_string_value(json_object_get(source, "format"));
    g_autofree char *text = sha256 == NULL ? NULL : g_strconcat("sha256:", sha256, NULL);
    g_autofree IngotDigest *digest = g_new0(IngotDigest, 1);
    if (text == NULL || !ingot_digest_parse(text, digest, error)) {
        return NULL;
    }
    source_add_text(hasher, "image");
    source_add_text(hasher, sha256);
    source_add_text(hasher, format == NULL ? "" : format);
    return g_steal_pointer(&digest);
}

/* A file of the recipe's, which may be large, is hashed once. */
static char *image_find(const SourceContext *context, const char *path, const IngotDigest *wanted, Unchanged *files,
                        GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(wanted, text);
    g_autofree char *name = g_strdup_printf("image-%s" INGOT_DOWNLOAD_CHECKED, text + strlen("sha256:"));
    g_autoptr(GError) problem = NULL;
    g_autofree char *record = source_cache_path(context, name, &problem);
    g_autofree char *file = g_canonicalize_filename(path, context->recipe->folder);
    if (record == NULL) {
        ingot_progress_message(context->progress, "%s is read again the next time, since its check cannot be noted: %s",
                               file, problem->message);
    }
    return unchanged_add(files, file, error) && ingot_checked_once(file, wanted, record, context->progress, error)
               ? g_steal_pointer(&file)
               : NULL;
}

/* The bytes are those of the digest, wherever they come from: a build that keeps nothing takes a download that an
 * earlier one has kept. */
static char *image_fetch(const SourceContext *context, const char *url, const IngotDigest *wanted, IngotLock **use,
                         GError **error)
{
    char text[INGOT_DIGEST_TEXT_SIZE];
    ingot_digest_write_text(wanted, text);
    g_autofree char *name = g_strdup_printf("image-%s", text + strlen("sha256:"));
    g_autofree char *kept = g_build_filename(context->cache, "sources", name, NULL);
    return ingot_download_cached(g_file_test(kept, G_FILE_TEST_EXISTS) ? context->cache : source_home(context), url,
                                 wanted, context->progress, use, error);
}

/* The disk of a bundle as a file of the cache, which gets its name when it is whole, and what its machine is. */
static gboolean image_take_out(const SourceContext *context, const IngotBundle *bundle, const json_t *machine,
                               const char *file, const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *making = g_strconcat(path, ".making", NULL);
    if (!ingot_file_make_folder(folder, error)) {
        return FALSE;
    }
    ingot_progress_begin(context->progress, 0, "take the disk out of %s", file);
    if (!ingot_bundle_convert(bundle, 0, making, error) || !image_machine_keep(machine, path, error) ||
        !kept_publish(making, path, context->progress, error)) {
        unlink(making);
        return FALSE;
    }
    ingot_progress_end(context->progress, NULL);
    return TRUE;
}

/* Hands made back, which may be NULL, with what its machine is. */
static Source *image_describe(const SourceContext *context, const char *file, const json_t *machine, Source *made)
{
    if (made != NULL) {
        image_machine_apply(context, file, machine, made);
    }
    return made;
}

/* Whatever is not a known format would count as raw: then it must at least be what firmware can boot. */
static gboolean image_check_raw(const char *file, GError **error)
{
    guint8 signature[2];
    g_auto(IngotFd) fd = ingot_file_open(file, O_RDONLY, 0, error);
    if (fd < 0) {
        return FALSE;
    }
    if (!ingot_file_pread(fd, signature, sizeof signature, BOOT_SIGNATURE_OFFSET, file, NULL) || signature[0] != 0x55 ||
        signature[1] != 0xaa) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "%s: not a disk of a known format, and without a partition table: if it is a raw disk, say "
                    "source.image.format: raw",
                    file);
        return FALSE;
    }
    return TRUE;
}

/* The disk where it lies, unless it is in a bundle, or QEMU would show another one there: then it is taken out to path.
 * format: the recipe's word, or NULL. */
static Source *image_look_inside(const SourceContext *context, const char *file, const char *format, Unchanged *files,
                                 const char *path, GError **error)
{
    gboolean plain = FALSE;
    g_autoptr(IngotBundle) bundle = format == NULL ? ingot_bundle_open(file, file, files, context->progress, error)
                                                   : ingot_bundle_open_disk(file, file, format, files, error);
    if (bundle == NULL || !ingot_bundle_is_one_file(bundle, error) ||
        !ingot_bundle_has_one_disk(bundle, "a source", error)) {
        return NULL;
    }
    g_autoptr(json_t) machine = image_machine_of_bundle(bundle, file, error);
    const char *found = ingot_bundle_format(bundle, 0);
    if (machine == NULL || (ingot_bundle_is_disk(bundle) && !as_meant_is_plain(file, found, &plain, error))) {
        return NULL;
    }
    Source *made = NULL;
    if (!plain) {
        gboolean taken = image_take_out(context, bundle, machine, file, path, error);
        made = taken ? source_new(g_strdup(path), "qcow2") : NULL;
    } else if (format != NULL || strcmp(found, "raw") != 0 || image_check_raw(file, error)) {
        made = source_new(g_strdup(file), found);
    }
    return image_describe(context, file, machine, made);
}

/* Where the disk of a bundle is kept. Free it. */
static char *image_taken_out(const SourceContext *context, const char *sha256, const char *format, GError **error)
{
    g_autofree char *name =
        format == NULL ? g_strdup_printf("bundle-%s", sha256) : g_strdup_printf("bundle-%s-%s", format, sha256);
    g_autofree char *folder = source_cache_path(context, name, error);
    return folder == NULL ? NULL : g_build_filename(folder, "disk.qcow2", NULL);
}

/* Without the cache: what is in a bundle is taken out to the work folder. problem: why. */
static Source *image_open_here(const SourceContext *context, const char *file, const char *format, Unchanged *files,
                               const GError *problem, GError **error)
{
    g_autofree char *path = g_build_filename(context->workdir, "bundle", "disk.qcow2", NULL);
    Source *source = image_look_inside(context, file, format, files, path, error);
    if (source != NULL && strcmp(source->path, path) == 0) {
        ingot_progress_message(context->progress,
                               "what was taken out of %s is not kept, nor is what is built on it: %s", file,
                               problem->message);
    }
    return source;
}

/* A file whose format its content tells, or the recipe: what has to be taken out of it is taken out once. */
static Source *image_open_any(const SourceContext *context, const char *file, const char *format, Unchanged *files,
                              const char *sha256, GError **error)
{
    g_autoptr(GError) problem = NULL, reads = NULL;
    g_autofree char *path = image_taken_out(context, sha256, format, &problem);
    g_autofree char *folder = path == NULL ? NULL : g_path_get_dirname(path);
    g_autoptr(IngotLock) lock = folder == NULL ? NULL : source_lock(folder, &reads, &problem);
    if (lock == NULL && g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_INTERRUPTED)) {
        g_propagate_error(error, g_steal_pointer(&problem));
        return NULL;
    }
    if (lock == NULL) {
        return image_open_here(context, file, format, files, problem, error);
    }
    g_autoptr(json_t) machine = context->refresh ? NULL : image_machine_kept(path);
    KeptState kept = machine == NULL ? KEPT_NONE : kept_find(path, context->progress, error);
    if (kept != KEPT_NONE) {
        Source *made = kept == KEPT_WHOLE ? source_new(g_strdup(path), "qcow2") : NULL;
        return image_describe(context, file, machine, made);
    }
    return reads != NULL ? image_open_here(context, file, format, files, reads, error)
                         : image_look_inside(context, file, format, files, path, error);
}

/* What is fetched first; a bundle is, even where its disk was taken out before. Free it. */
static char *image_due_fetch(const json_t *source, const char *fetched)
{
    const char *url = json_string_value(json_object_get(source, "url"));
    if (url == NULL || (fetched != NULL && g_file_test(fetched, G_FILE_TEST_EXISTS))) {
        return NULL;
    }
    g_autofree char *shown = ingot_text_url(url);
    return g_strdup_printf("%s is downloaded first", shown);
}

/* The file, and the disk that was taken out of it where that has happened. */
static SourceLook image_look(const SourceContext *context, const json_t *source, gconstpointer resolved)
{
    (void)resolved;
    const char *path = json_string_value(json_object_get(source, "path"));
    const char *sha256 = json_string_value(json_object_get(source, "sha256"));
    const char *format = json_string_value(json_object_get(source, "format"));
    g_autofree char *image = g_strdup_printf("image-%s", sha256), *fetched = source_cache_path(context, image, NULL);
    g_autofree char *disk = image_taken_out(context, sha256, format, NULL);
    SourceLook look = {.fetch = image_due_fetch(source, fetched)};
    gboolean taken = disk != NULL && g_file_test(disk, G_FILE_TEST_EXISTS);
    look.disk = taken          ? g_steal_pointer(&disk)
                : path != NULL ? g_canonicalize_filename(path, context->recipe->folder)
                               : g_steal_pointer(&fetched);
    return look;
}

/* The recipe's word for the format counts; most disks are then taken where they lie. */
static Source *image_open(const SourceContext *context, const char *file, const char *format, Unchanged *files,
                          const char *sha256, GError **error)
{
    gboolean plain = FALSE;
    if (format != NULL &&
        (!ingot_ties_check_alone(file, file, format, error) || !as_meant_is_plain(file, format, &plain, error))) {
        return NULL;
    }
    if (!plain) {
        return image_open_any(context, file, format, files, sha256, error);
    }
    g_autoptr(json_t) machine = image_machine_of_disk(file, format, error);
    return machine == NULL ? NULL : image_describe(context, file, machine, source_new(g_strdup(file), format));
}

static Source *image_prepare(const SourceContext *context, const json_t *source, gconstpointer resolved, GError **error)
{
    const IngotDigest *wanted = resolved;
    const char *path = json_string_value(json_object_get(source, "path"));
    const char *url = json_string_value(json_object_get(source, "url"));
    const char *format = json_string_value(json_object_get(source, "format"));
    const char *sha256 = json_string_value(json_object_get(source, "sha256"));
    g_autoptr(IngotLock) use = NULL;              /* of the download, while a disk is taken out of it */
    g_autoptr(Unchanged) files = unchanged_new(); /* the recipe's, since before its digest was looked at */
    g_autofree char *file =
        path != NULL ? image_find(context, path, wanted, files, error) : image_fetch(context, url, wanted, &use, error);
    Source *made = file == NULL ? NULL : image_open(context, file, format, files, sha256, error);
    if (made != NULL) {
        json_object_set_new(made->config, "source", ingot_json_pack("{s:s, s:s}", "kind", "image", "sha256", sha256));
    }
    return made;
}

static const Key image_keys[] = {
    {.name = "path", .help = "Its file, relative to the recipe's folder.", .kind = KIND_HOST_PATH},
    {.name = "url",
     .help = "Where to download it.",
     .kind = KIND_STRING,
     .pattern = "^https?://[^ ]+$",
     .hint = "an http or https URL"},
    {.name = "sha256",
     .help = "The file's SHA-256, as sha256sum prints it.",
     .kind = KIND_STRING,
     .required = TRUE,
     .pattern = "^[0-9a-f]{64}$",
     .hint = "64 hex digits in lower case, as sha256sum prints them"},
    {.name = "format",
     .help = "Its format; found out if it is left out.",
     .kind = KIND_WORD,
     .words = WORDS("raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi")},
    END,
};
static const Shape image_shape = {
    .name = "image", .help = "The disk.", .keys = image_keys, .either = WORDS("path", "url")};

static const Key source_image_keys[] = {
    {.name = "image", .kind = KIND_OBJECT, .required = TRUE, .spread = TRUE, .shape = &image_shape},
    END,
};
static const Shape source_image_shape = {.name = "sourceImage", .help = "An existing disk.", .keys = source_image_keys};
const Variant recipe_source_image = {"image", "image", &source_image_shape};

const SourceKind source_image = {"image", image_identify, g_free, image_look, image_prepare, NULL};

#include "cli/storebox.h"

#include <ingot/error.h>
#include <string.h>

#include "base/command.h"
#include "base/json.h"
#include "cli/common.h"
#include "image/architecture.h"
#include "import/boximage.h"

/* --- names --- */

/* Boxes of the version that can be taken, wanted or not: of all providers, or of one. */
static guint count_boxes(const VagrantVersion *version, const char *provider)
{
    guint count = 0;
    for (guint i = 0; i < version->providers->len; i++) {
        const VagrantProvider *one = g_ptr_array_index(version->providers, i);
        count += vagrant_form_of(one->name) != NULL && (provider == NULL || strcmp(provider, one->name) == 0);
    }
    return count;
}

/* Names of one box, by what else its version has. */
typedef enum { TAG_ALONE, TAG_PROVIDER, TAG_WHOLE, TAGS } TagKind;

static char *tag_make(const BoxPiece *piece, TagKind kind)
{
    const VagrantProvider *provider = piece->provider;
    const char *architecture = provider->architecture == NULL ? "unknown" : provider->architecture;
    return kind == TAG_ALONE      ? g_strdup(piece->version->version)
           : kind == TAG_PROVIDER ? g_strjoin("-", piece->version->version, provider->name, NULL)
                                  : g_strjoin("-", piece->version->version, provider->name, architecture, NULL);
}

/* A box has the same name whichever others are wanted with it. */
static TagKind tag_kind(const BoxPiece *piece)
{
    return count_boxes(piece->version, NULL) <= 1                    ? TAG_ALONE
           : count_boxes(piece->version, piece->provider->name) <= 1 ? TAG_PROVIDER
                                                                     : TAG_WHOLE;
}

/* --- what the store has --- */

static const char *architecture_of(const IngotImage *image)
{
    const char *architecture = json_string_value(json_object_get(image->config, "architecture"));
    return architecture == NULL ? "unknown" : architecture;
}

/* Whether it was made of a box for that provider and architecture. */
static gboolean is_box(const IngotImage *image, const VagrantProvider *provider)
{
    const char *wanted = architecture_word(provider->architecture);
    const char *format = vagrant_form_of(provider->name)->format;
    return json_object_get(image->config, "vagrant") != NULL &&
           ingot_json_has_text(json_object_get(image->config, "outputs"), format) &&
           (wanted == NULL || strcmp(wanted, architecture_of(image)) == 0);
}

static gboolean refuse_other(const BoxPiece *piece, const char *name, const IngotImage *image, GError **error)
{
    const json_t *vagrant = json_object_get(image->config, "vagrant");
    const char *provider = json_string_value(json_object_get(vagrant, "provider"));
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_EXISTS,
                "%s: the store has another image as %s, %s%s, for %s: remove it, and import again", piece->what, name,
                vagrant == NULL ? "of no box" : "of a box for ",
                vagrant == NULL    ? ""
                : provider == NULL ? "an unknown provider"
                                   : provider,
                architecture_of(image));
    return FALSE;
}

/* What the catalogue said of its file; what was taken before that was noted is the box. */
static BoxState state_of(const IngotImage *image, const VagrantProvider *provider)
{
    const json_t *vagrant = json_object_get(image->config, "vagrant");
    const char *type = json_string_value(json_object_get(vagrant, "checksum_type")),
               *checksum = json_string_value(json_object_get(vagrant, "checksum"));
    gboolean comparable =
        checksum != NULL && provider->checksum != NULL && g_strcmp0(type, provider->checksum_type) == 0;
    return comparable && strcmp(checksum, provider->checksum) != 0 ? BOX_DIFFERS : BOX_HAS;
}

/* *image: NULL where the store has none, or not all of it any more: it is taken anew. Free it. */
static gboolean find_box(IngotStore *store, const char *name, IngotImage **image, GError **error)
{
    GError *problem = NULL;
    g_autoptr(IngotReference) reference = ingot_reference_parse(name, error);
    *image = reference == NULL ? NULL : ingot_store_image(store, reference, &problem);
    if (problem != NULL && !g_error_matches(problem, INGOT_ERROR, INGOT_ERROR_NOT_FOUND)) {
        g_propagate_error(error, problem);
        return FALSE;
    }
    g_clear_error(&problem);
    return reference != NULL;
}

/* The name that it got when the catalogue listed fewer boxes of its version, or more. One that says no architecture can
 * be told from others of its provider by its name alone. */
static gboolean find_renamed(const StoreBoxes *boxes, const BoxPiece *piece, BoxState *state, GError **error)
{
    const VagrantProvider *provider = piece->provider;
    gboolean told = architecture_word(provider->architecture) != NULL;
    for (TagKind kind = TAG_ALONE; kind < TAGS && (told || tag_kind(piece) != TAG_WHOLE); kind++) {
        g_autofree char *tag = tag_make(piece, kind), *name = g_strconcat(piece->name, ":", tag, NULL);
        g_autoptr(IngotImage) image = NULL;
        if (kind == tag_kind(piece)) {
            continue;
        }
        if (!find_box(boxes->store, name, &image, error)) {
            return FALSE;
        }
        if (image != NULL && is_box(image, provider)) {
            *state = state_of(image, provider);
            return TRUE;
        }
    }
    return TRUE;
}

static gboolean box_state(const BoxPiece *piece, BoxState *state, gpointer user, GError **error)
{
    const StoreBoxes *boxes = user;
    g_autofree char *tag = tag_make(piece, tag_kind(piece));
    g_autofree char *name = g_strconcat(piece->name, ":", tag, NULL);
    g_autoptr(IngotImage) image = NULL;
    *state = BOX_LACKS;
    if (!find_box(boxes->store, name, &image, error)) {
        return FALSE;
    }
    if (image == NULL) {
        return find_renamed(boxes, piece, state, error);
    }
    *state = state_of(image, piece->provider);
    return is_box(image, piece->provider) || refuse_other(piece, name, image, error);
}

/* --- an image --- */

static void free_packed(gpointer packed)
{
    ingot_packed_free(packed);
}

static IngotPacked *pack_disk(const StoreBoxes *boxes, IngotBundle *bundle, guint number, const char *what,
                              GError **error)
{
    const IngotPackOptions options = {.progress = boxes->import->progress};
    g_autoptr(IngotBlocks) blocks = ingot_bundle_blocks(bundle, number, error);
    if (blocks == NULL || (number == 0 && !ingot_bundle_look(bundle, blocks, error))) {
        return NULL;
    }
    ingot_progress_begin(options.progress, ingot_blocks_size(blocks), "pack %s", what);
    IngotPacked *packed = ingot_store_pack(boxes->store, blocks, &options, error);
    if (packed != NULL) {
        ingot_progress_end(options.progress, NULL);
    } else {
        ingot_progress_drop(options.progress);
    }
    return packed;
}

/* Array of IngotPacked: all disks; NULL: an error. */
static GPtrArray *pack_disks(const StoreBoxes *boxes, IngotBundle *bundle, const char *what, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(free_packed);
    for (guint i = 0; i < ingot_bundle_count(bundle); i++) {
        IngotPacked *packed = pack_disk(boxes, bundle, i, what, error);
        if (packed == NULL) {
            return NULL;
        }
        g_ptr_array_add(all, packed);
    }
    return g_steal_pointer(&all);
}

/* By that a catalogue that has another file under the version later is seen. */
static void note_checksum(const VagrantProvider *provider, json_t *config)
{
    json_t *vagrant = json_object_get(config, "vagrant");
    ingot_json_set_string(vagrant, "checksum", provider->checksum);
    ingot_json_set_string(vagrant, "checksum_type", provider->checksum_type);
}

static gboolean add_image(const StoreBoxes *boxes, const BoxPiece *piece, const char *tag, const BoxFacts *facts,
                          const IngotBundle *bundle, const GPtrArray *packed, IngotDescriptor *manifest, GError **error)
{
    g_autoptr(GArray) disks = g_array_new(FALSE, FALSE, sizeof(IngotPackedDisk));
    g_autoptr(json_t) config = NULL;
    for (guint i = 0; i < packed->len; i++) {
        const IngotPacked *one = g_ptr_array_index(packed, i);
        const IngotPackedDisk disk = {{one->digest, one->size}, one->index};
        g_array_append_val(disks, disk);
        if (i == 0) {
            config = ingot_config_new(ingot_bundle_architecture(bundle), one->index->disk_size);
        } else {
            ingot_config_add_disk(config, one->index->disk_size);
        }
    }
    box_image_describe(facts, bundle, config);
    note_checksum(piece->provider, config);
    return ingot_store_add_image(boxes->store, piece->name, tag, config, NULL,
                                 (const IngotPackedDisk *)(gpointer)disks->data, disks->len, manifest, error);
}

static gboolean take_box(const BoxPiece *piece, const char *path, gpointer user, GError **error)
{
    const StoreBoxes *boxes = user;
    const BoxFacts facts = {piece->what, piece->provider->name, piece->provider->architecture};
    IngotDescriptor manifest;
    g_autofree char *tag = tag_make(piece, tag_kind(piece));
    g_autoptr(IngotBundle) bundle = box_image_open(&facts, path, boxes->import->progress, error);
    g_autoptr(GPtrArray) packed = bundle == NULL ? NULL : pack_disks(boxes, bundle, piece->what, error);
    if (packed == NULL || !add_image(boxes, piece, tag, &facts, bundle, packed, &manifest, error)) {
        return FALSE;
    }
    g_autofree char *image = g_strconcat(piece->name, ":", tag, NULL);
    g_autofree char *digest = ingot_digest_to_text(&manifest.digest);
    json_array_append_new(boxes->images, json_pack("{s:s, s:s}", "image", image, "digest", digest));
    if (!ingot_command_common()->json) {
        cli_print_result(image, &manifest.digest);
    }
    return TRUE;
}

/* --- the rest --- */

static gboolean box_begin(const char *name, const VagrantBox *box, gpointer user, GError **error)
{
    (void)name, (void)box, (void)user, (void)error;
    return TRUE;
}

static gboolean box_look(const char *name, const VagrantVersion *version, char **why, gpointer user, GError **error)
{
    (void)name, (void)version, (void)why, (void)user, (void)error;
    return TRUE;
}

static gboolean box_end(const char *name, const VagrantVersion *version, gpointer user, GError **error)
{
    (void)name, (void)version, (void)user, (void)error;
    return TRUE;
}

static void box_refuse(const BoxPiece *piece, const char *why, gpointer user)
{
    (void)piece, (void)why, (void)user;
}

static gboolean box_leave(const char *name, const char *what, const char *why, gpointer user)
{
    (void)name, (void)what, (void)why, (void)user;
    return TRUE;
}

static void box_tell(const char *line, gpointer user)
{
    const StoreBoxes *boxes = user;
    ingot_progress_warning(boxes->import->progress, "%s", line);
}

BoxSink store_boxes_sink(StoreBoxes *boxes)
{
    return (BoxSink){box_begin, box_look, box_state, take_box, box_end, box_refuse, box_leave, box_tell, boxes};
}

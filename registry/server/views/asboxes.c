#include "server/views/asboxes.h"

#include <ingot/error.h>
#include <string.h>

#include "base/json.h"
#include "server/views/traits.h"

#define KEPT_VALUES 64 /* of the JSON that is kept: 5 a provider */

void as_boxes_free(AsBoxes *boxes)
{
    g_free(boxes->architecture);
    g_array_unref(boxes->boxes);
    g_free(boxes);
}

static AsBoxes *as_boxes_new(const char *architecture)
{
    AsBoxes *boxes = g_new0(AsBoxes, 1);
    *boxes = (AsBoxes){
        .architecture = g_strdup(architecture), .boxes = g_array_new(FALSE, TRUE, sizeof(AsBox)), .is_here = TRUE};
    return boxes;
}

/* What the files' bytes depend on but the image: the version of Ingot, what compresses them, and the image's name. */
static char *kept_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    GString *what = g_string_new("boxes/" INGOT_VERSION);
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        const IngotFormat *format = ingot_format_find(vagrant_forms[i].format, NULL);
        g_string_append_printf(what, "/%s", format->codec == NULL ? "" : format->codec());
    }
    g_string_append_printf(what, " of %s", slash == NULL ? name : slash + 1);
    return g_string_free(what, FALSE);
}

/* --- what is kept: {"architecture": "amd64", "boxes": {"vagrant-libvirt": HEX…}} --- */

static json_t *kept_json(const AsBoxes *boxes)
{
    json_t *sums = json_object();
    for (guint i = 0; i < boxes->boxes->len; i++) {
        const AsBox *box = &g_array_index(boxes->boxes, AsBox, i);
        json_object_set_new(sums, box->form->format, json_string(box->sum));
    }
    return ingot_json_pack("{s:s, s:o}", "architecture", boxes->architecture, "boxes", sums);
}

static AsBoxes *kept_parse(GBytes *kept)
{
    g_autoptr(json_t) root = ingot_json_parse_bytes(kept, "boxes", KEPT_VALUES, NULL);
    const char *architecture = json_string_value(json_object_get(root, "architecture"));
    if (architecture == NULL) {
        return NULL;
    }
    AsBoxes *boxes = as_boxes_new(architecture);
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        const char *sum = json_string_value(json_object_get(json_object_get(root, "boxes"), vagrant_forms[i].format));
        AsBox box = {.form = &vagrant_forms[i]};
        if (sum != NULL && strlen(sum) + 1 == sizeof box.sum) {
            memcpy(box.sum, sum, sizeof box.sum);
            g_array_append_val(boxes->boxes, box);
        }
    }
    boxes->is_whole = TRUE;
    return boxes;
}

/* --- what is worked out --- */

/* FALSE: its sum is not known. */
static gboolean read_sum(ViewImage *image, const IngotFormat *format, AsBox *box)
{
    IngotDigest digest;
    char text[INGOT_DIGEST_TEXT_SIZE];
    g_autoptr(GPtrArray) files = view_image_files(image, format, NULL);
    const IngotFormatFile *file = files == NULL ? NULL : ingot_format_file(files, box->form->file, NULL);
    if (file == NULL || !view_image_digest(image, format, file, &digest, NULL)) {
        return FALSE;
    }
    ingot_digest_write_text(&digest, text);
    g_strlcpy(box->sum, text + strlen("sha256:"), sizeof box->sum);
    return TRUE;
}

static AsBoxes *work_out(ViewImage *image)
{
    const char *word = json_string_value(json_object_get(image->config, "architecture"));
    AsBoxes *boxes = as_boxes_new(view_architecture(word));
    boxes->is_whole = TRUE;
    boxes->is_here = image->read != NULL;
    for (guint i = 0; i < VAGRANT_FORMS; i++) {
        const IngotFormat *format = ingot_format_find(vagrant_forms[i].format, NULL);
        AsBox box = {.form = &vagrant_forms[i]};
        if (view_image_is_for(image, format->name) && view_image_can(image, format, NULL)) {
            boxes->is_whole = read_sum(image, format, &box) && boxes->is_whole;
            g_array_append_val(boxes->boxes, box);
        }
    }
    return boxes;
}

static void keep(Storage *storage, const IngotDigest *manifest, const char *what, const AsBoxes *boxes)
{
    g_autoptr(json_t) body = kept_json(boxes);
    char *text = ingot_json_canonical(body);
    g_autoptr(GBytes) value = g_bytes_new_take(text, strlen(text));
    storage_keep_measure(storage, manifest, what, value);
}

AsBoxes *as_boxes(Views *views, const char *name, const IngotDigest *manifest, GError **error)
{
    if (!views_may_be_seen(views, name, manifest, error)) {
        return NULL;
    }
    Storage *storage = views_storage(views);
    g_autofree char *what = kept_name(name);
    g_autoptr(GBytes) kept = storage_measure(storage, manifest, what);
    AsBoxes *boxes = kept == NULL ? NULL : kept_parse(kept);
    if (boxes != NULL) {
        return boxes;
    }
    g_autoptr(ViewImage) image = views_described(views, name, manifest, error);
    if (image == NULL) {
        return NULL;
    }
    boxes = work_out(image);
    if (boxes->is_whole) {
        keep(storage, manifest, what, boxes);
    }
    return boxes;
}

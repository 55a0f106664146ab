#include <ingot/error.h>
#include <ingot/format.h>

#include "base/text.h"
#include "format/all.h"
#include "format/guest.h"
#include "format/input.h"
#include "format/segments.h"

static const IngotFormat *const formats[] = {&format_raw,
                                             &format_qcow2,
                                             &format_qcow2_zstd,
                                             &format_vdi,
                                             &format_vhd,
                                             &format_vhdx,
                                             &format_vmdk,
                                             &format_vmdk_stream,
                                             &format_vmx,
                                             &format_ova,
                                             &format_vagrant_libvirt,
                                             &format_vagrant_qemu,
                                             &format_vagrant_virtualbox,
                                             &format_vagrant_vmware,
                                             NULL};

const IngotFormat *const *ingot_formats(void)
{
    return formats;
}

const IngotFormat *ingot_format_find(const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(formats)] = {NULL};
    for (guint i = 0; formats[i] != NULL; i++) {
        if (g_str_equal(formats[i]->name, name)) {
            return formats[i];
        }
        names[i] = formats[i]->name;
    }
    g_autofree char *near = ingot_text_suggestion(name, names), *all = g_strjoinv(", ", (char **)names);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "there is no format '%.100s'%s: %s", name, near, all);
    return NULL;
}

gboolean format_is_folder(const IngotFormat *format)
{
    return format == &format_vmx;
}

gboolean ingot_format_is_folder(const IngotFormat *format, const IngotFormatInput *input)
{
    return format_is_folder(format) || (format->disks == 0 && input_count(input) > 1);
}

gboolean ingot_format_can(const IngotFormat *format, const IngotFormatInput *input, GError **error)
{
    guint count = input_count(input);
    if (format->disks > 0 && count > format->disks) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                    "a machine of the format %s has at most %u disk%s, the image has %u: use another format, or one "
                    "disk alone",
                    format->name, format->disks, format->disks == 1 ? "" : "s", count);
        return FALSE;
    }
    for (guint k = 0; format->can != NULL && k < count; k++) {
        const IngotFormatInput one = input_of(input, k);
        if (!format->can(&one, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* Each disk is files of its own. */
static GPtrArray *files_of_each(const IngotFormat *format, const IngotFormatInput *input, GError **error)
{
    g_autoptr(GPtrArray) all = ingot_format_files_new();
    for (guint k = 0; k < input_count(input); k++) {
        const IngotFormatInput one = input_of(input, k);
        GPtrArray *files = format->files(&one, error);
        if (files == NULL) {
            return NULL;
        }
        g_ptr_array_extend_and_steal(all, files);
    }
    return g_steal_pointer(&all);
}

GPtrArray *ingot_format_files(const IngotFormat *format, const IngotFormatInput *input, GError **error)
{
    if (!ingot_format_can(format, input, error)) {
        return NULL;
    }
    return format->disks > 0 ? format->files(input, error) : files_of_each(format, input, error);
}

/* The file's name with all that its bytes depend on but the image: "qcow2/disk.qcow2/0.1.0". Has no blanks. */
static char *edition_of(const IngotFormat *format, const char *file)
{
    return format->codec == NULL ? g_strdup_printf("%s/%s/%s", format->name, file, INGOT_VERSION)
                                 : g_strdup_printf("%s/%s/%s/%s", format->name, file, INGOT_VERSION, format->codec());
}

char *ingot_format_tag(const IngotFormat *format, const char *file, const IngotDigest *manifest)
{
    g_autofree char *edition = edition_of(format, file), *digest = ingot_digest_to_text(manifest);
    return g_strdup_printf("\"%s/%s\"", digest, edition);
}

/* Whether the files have the image's name in them. */
static gboolean tells_name(const IngotFormat *format)
{
    return format == &format_ova || format == &format_vmx || format == &format_vagrant_virtualbox ||
           format == &format_vagrant_vmware;
}

/* One image may be in several repositories, by several names. */
static char *digest_name(const IngotFormat *format, const IngotFormatInput *input, const IngotFormatFile *file)
{
    g_autofree char *edition = edition_of(format, file->name);
    g_autofree char *name = tells_name(format) ? guest_name(input) : NULL;
    return name == NULL ? g_strdup_printf("sha256 of %s", edition)
                        : g_strdup_printf("sha256 of %s as %s", edition, name);
}

gboolean ingot_format_digest_kept(const IngotFormat *format, const IngotFormatInput *input, const IngotFormatFile *file,
                                  IngotDigest *digest)
{
    const IngotFormatKeeper *keeper = input->keeper;
    g_autofree char *what = digest_name(format, input, file);
    g_autoptr(GBytes) kept = keeper == NULL ? NULL : keeper->find(what, keeper->user);
    if (kept == NULL || g_bytes_get_size(kept) != sizeof digest->bytes) {
        return FALSE;
    }
    *digest = *(const IngotDigest *)g_bytes_get_data(kept, NULL);
    return TRUE;
}

/* Of a file that is being written, it is a part of that, which has a stage already. */
static gboolean digest_file(const IngotFormatInput *input, const IngotFormatFile *file, IngotDigest *digest,
                            GError **error)
{
    if (input->early != NULL) {
        return layout_digest_early(file->layout, input->disk, input->early, NULL, digest, error);
    }
    ingot_progress_begin(input->progress, ingot_layout_size(file->layout), "hash %s", file->name);
    if (!ingot_layout_digest(file->layout, input->disk, input->progress, digest, error)) {
        ingot_progress_drop(input->progress);
        return FALSE;
    }
    ingot_progress_end(input->progress, NULL);
    return TRUE;
}

gboolean ingot_format_digest(const IngotFormat *format, const IngotFormatInput *input, const IngotFormatFile *file,
                             IngotDigest *digest, GError **error)
{
    if (ingot_format_digest_kept(format, input, file, digest)) {
        return TRUE;
    }
    if (!digest_file(input, file, digest, error)) {
        return FALSE;
    }
    if (input->keeper != NULL) {
        g_autofree char *what = digest_name(format, input, file);
        g_autoptr(GBytes) value = g_bytes_new(digest->bytes, sizeof digest->bytes);
        input->keeper->keep(what, value, input->keeper->user);
    }
    return TRUE;
}

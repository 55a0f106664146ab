#include "format/streamed.h"

#include "format/all.h"
#include "format/early.h"
#include "format/input.h"

static void disk_clear(gpointer data)
{
    ingot_layout_unref(((StreamedDisk *)data)->layout);
}

static GArray *disks_new(void)
{
    GArray *disks = g_array_new(FALSE, TRUE, sizeof(StreamedDisk));
    g_array_set_clear_func(disks, disk_clear);
    return disks;
}

/* The next disk comes behind those before it, and behind what tells the sizes of all: of those that are not measured
 * yet, a guess. */
static void expect_next(const IngotFormatInput *input, StreamedArchive archive, const GArray *measured)
{
    g_autoptr(GArray) guess = disks_new();
    for (guint k = 0; k < input_count(input); k++) {
        const IngotFormatInput one = input_of(input, k);
        StreamedDisk disk = {.layout = k < measured->len ? ingot_layout_ref(streamed_disk(measured, k)->layout)
                                                         : early_guess(&one)};
        g_array_append_val(guess, disk);
    }
    g_autoptr(IngotLayout) whole = archive(input, guess);
    early_expect(input->early, whole, streamed_disk(guess, measured->len)->layout);
}

static gboolean add_next(const IngotFormatInput *input, StreamedArchive archive, gboolean digests, GArray *disks,
                         GError **error)
{
    const IngotFormatInput one = input_of(input, disks->len);
    if (input->early != NULL) {
        expect_next(input, archive, disks);
    }
    g_autoptr(GPtrArray) files = ingot_format_files(&format_vmdk_stream, &one, error);
    const IngotFormatFile *file = files == NULL ? NULL : g_ptr_array_index(files, 0);
    StreamedDisk disk = {0};
    if (file == NULL || (digests && !ingot_format_digest(&format_vmdk_stream, &one, file, &disk.digest, error))) {
        return FALSE;
    }
    disk.layout = ingot_layout_ref(file->layout);
    g_array_append_val(disks, disk);
    return TRUE;
}

GArray *streamed_disks(const IngotFormatInput *input, StreamedArchive archive, gboolean digests, GError **error)
{
    g_autoptr(GArray) disks = disks_new();
    while (disks->len < input_count(input)) {
        if (!add_next(input, archive, digests, disks, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&disks);
}

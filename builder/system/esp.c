#include "system/esp.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

#define PIECE (1u << 20) /* bytes read at once */

/* A sparse file with what the partition holds. */
static gboolean esp_copy(IngotNbd *disk, const PartitionRange *efi, const char *path, GError **error)
{
    g_autofree char *buffer = g_malloc(PIECE);
    g_auto(IngotFd) fd = ingot_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, error);
    if (fd < 0) {
        return FALSE;
    }
    if (ftruncate(fd, (off_t)efi->size) != 0) {
        return ingot_error_set_errno(error, errno, "%s", path);
    }
    for (guint64 at = 0; at < efi->size;) {
        guint64 length;
        gboolean zero;
        if (!ingot_nbd_extent(disk, efi->offset + at, &length, &zero, error)) {
            return FALSE;
        }
        length = MIN(length, efi->size - at);
        length = zero ? length : MIN(length, PIECE);
        if (!zero && (!ingot_nbd_read(disk, efi->offset + at, buffer, (gsize)length, error) ||
                      !ingot_file_pwrite(fd, buffer, (gsize)length, at, path, error))) {
            return FALSE;
        }
        at += length;
    }
    return TRUE;
}

GPtrArray *esp_names(IngotNbd *disk, const PartitionRange *efi, const char *workdir, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *path = g_build_filename(workdir, "efi", NULL);
    if (!esp_copy(disk, efi, path, error)) {
        return NULL;
    }
    const char *const argv[] = {"mdir", "-/", "-a", "-b", "-i", path, "::", NULL};
    g_autofree char *text = ingot_process_output(argv, NULL); /* fails where it is not FAT */
    unlink(path);
    g_auto(GStrv) lines = g_strsplit(text == NULL ? "" : text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if (g_str_has_prefix(*line, "::/")) {
            gsize length = strlen(*line);
            g_ptr_array_add(names, g_strndup(*line + 2, length - 2 - ((*line)[length - 1] == '/')));
        }
    }
    return g_steal_pointer(&names);
}

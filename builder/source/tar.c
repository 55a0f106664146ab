#include "source/tar.h"

#include <ingot/error.h>
#include <string.h>

#define TAR_BLOCK (1u << 20)

static gboolean tar_error(TarReader *tar, GError **error)
{
    const char *text = archive_error_string(tar->archive);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: %s", tar->name,
                text != NULL ? text : "not readable as a tar archive");
    return FALSE;
}

TarReader *tar_open(const char *path, GError **error)
{
    TarReader *tar = g_new0(TarReader, 1);
    tar->name = g_strdup(path);
    tar->archive = archive_read_new();
    archive_read_support_format_tar(tar->archive);
    /* Names are bytes: in the C locale they would have to be ASCII else. */
    archive_read_set_format_option(tar->archive, "tar", "hdrcharset", "BINARY");
    if (archive_read_open_filename(tar->archive, path, TAR_BLOCK) != ARCHIVE_OK) {
        tar_error(tar, error);
        tar_close(tar);
        return NULL;
    }
    return tar;
}

void tar_close(TarReader *tar)
{
    if (tar != NULL) {
        archive_read_free(tar->archive);
        g_free(tar->path);
        g_free(tar->name);
        g_free(tar);
    }
}

char *tar_clean(const char *name)
{
    while (g_str_has_prefix(name, "./") || *name == '/') {
        name += *name == '/' ? 1 : 2;
    }
    gsize length = strcmp(name, ".") == 0 ? 0 : strlen(name);
    while (length > 0 && name[length - 1] == '/') {
        length--;
    }
    return g_strndup(name, length);
}

gboolean tar_next(TarReader *tar, GError **error)
{
    int status = archive_read_next_header(tar->archive, &tar->entry);
    if (status == ARCHIVE_EOF) {
        tar->ended = TRUE;
        return FALSE;
    }
    const char *name = status < ARCHIVE_WARN ? NULL : archive_entry_pathname(tar->entry);
    if (name == NULL) {
        return tar_error(tar, error);
    }
    g_free(tar->path);
    tar->path = tar_clean(name);
    return TRUE;
}

gssize tar_read(TarReader *tar, void *buffer, gsize size, GError **error)
{
    gssize got = archive_read_data(tar->archive, buffer, size);
    if (got < 0) {
        tar_error(tar, error);
        return -1;
    }
    return got;
}

char *tar_text(TarReader *tar, gsize limit, GError **error)
{
    gint64 size = archive_entry_size(tar->entry);
    if (size < 0 || (guint64)size > limit) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_FAILED, "%s: %s is too long", tar->name, tar->path);
        return NULL;
    }
    g_autofree char *text = g_malloc((gsize)size + 1);
    gsize filled = 0;
    while (filled < (gsize)size) {
        gssize got = tar_read(tar, text + filled, (gsize)size - filled, error);
        if (got <= 0) {
            return NULL;
        }
        filled += (gsize)got;
    }
    text[size] = '\0';
    return g_steal_pointer(&text);
}

#include "image/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <ingot/error.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

gboolean reader_open(Reader *reader, const IngotPart *part, const char *name, GError **error)
{
    *reader = (Reader){.name = name,
                       .fd = ingot_file_open(part->path, O_RDONLY, 0, error),
                       .offset = part->offset,
                       .length = part->length == 0 ? G_MAXUINT64 : part->length,
                       .problem = g_new0(int, 1)};
    return reader->fd >= 0;
}

void reader_close(Reader *reader)
{
    ingot_fd_clear(&reader->fd);
    g_clear_pointer(&reader->problem, g_free);
}

gboolean reader_stands_by(const Reader *reader, gboolean ok, GError **error)
{
    if (reader->problem == NULL || *reader->problem == 0) {
        return ok;
    }
    g_clear_error(error);
    return ingot_error_set_errno(error, *reader->problem, "%s", reader->name);
}

gsize reader_bytes(const Reader *reader, guint64 offset, void *buffer, gsize size)
{
    memset(buffer, 0, size);
    if (offset >= reader->length || offset > G_MAXINT64 - reader->offset - size) { /* no file goes on that far */
        return 0;
    }
    gssize got = pread(reader->fd, buffer, MIN(size, reader->length - offset), (off_t)(reader->offset + offset));
    if (got < 0 && reader->problem != NULL) {
        *reader->problem = errno;
    }
    return got < 0 ? 0 : (gsize)got;
}

char *reader_text(const Reader *reader, guint64 offset, gsize most)
{
    char *text = g_malloc(most + 1);
    text[reader_bytes(reader, offset, text, most)] = '\0';
    return text;
}

char *reader_wide_text(const Reader *reader, guint64 offset, gsize size, const char *charset)
{
    g_autofree char *wide = g_malloc(size + 1); /* what has no bytes is no NULL either */
    reader_bytes(reader, offset, wide, size);
    char *text = g_convert(wide, (gssize)size, "UTF-8", charset, NULL, NULL, NULL);
    return text == NULL ? g_strdup("") : text;
}

guint64 reader_end(const Reader *reader)
{
    off_t end = lseek(reader->fd, 0, SEEK_END);
    guint64 whole = end < 0 || (guint64)end < reader->offset ? 0 : (guint64)end - reader->offset;
    return MIN(whole, reader->length);
}

#include "image/reader.h"

#include <string.h>
#include <unistd.h>

gsize reader_bytes(const Reader *reader, guint64 offset, void *buffer, gsize size)
{
    memset(buffer, 0, size);
    if (offset >= reader->length) {
        return 0;
    }
    gssize got = pread(reader->fd, buffer, MIN(size, reader->length - offset), (off_t)(reader->offset + offset));
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

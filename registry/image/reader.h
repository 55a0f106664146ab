/* A disk file's own bytes, read before anything else opens it. What lies beyond its end is zeros. */
#pragma once

#include <ingot/blocks.h>

typedef struct {
    const char *name; /* of the disk, in errors */
    int fd;
    guint64 offset, length; /* of the disk within the file, bytes */
    int *problem;           /* the errno of a read that failed; NULL: nobody asks */
} Reader;

/* Opens a part of a file; name: of the disk, outlives the reader. */
gboolean reader_open(Reader *reader, const IngotPart *part, const char *name, GError **error);
void reader_close(Reader *reader);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_close)

/* What was found by the reader is worth nothing where the host could not read the file: then FALSE, and the error says
 * so instead of what the missing bytes looked like. Otherwise `ok`, with its error. */
gboolean reader_stands_by(const Reader *reader, gboolean ok, GError **error);

/* As many of size bytes as are there; the others are zeros. */
gsize reader_bytes(const Reader *reader, guint64 offset, void *buffer, gsize size);
/* The text at offset, up to its end, a NUL or most bytes; free it. */
char *reader_text(const Reader *reader, guint64 offset, gsize most);
/* The UTF-16 of size bytes at offset in UTF-8, up to a NUL; charset: "UTF-16LE" or "UTF-16BE". Free it; "": it is no
 * such text. */
char *reader_wide_text(const Reader *reader, guint64 offset, gsize size, const char *charset);

/* Where the disk ends, bytes from its beginning: at the end of its file, or sooner. */
guint64 reader_end(const Reader *reader);

static inline guint16 be16(const guint8 *bytes)
{
    return (guint16)(bytes[0] << 8 | bytes[1]);
}

static inline guint32 be32(const guint8 *bytes)
{
    return (guint32)bytes[0] << 24 | (guint32)bytes[1] << 16 | (guint32)bytes[2] << 8 | bytes[3];
}

static inline guint64 be64(const guint8 *bytes)
{
    return (guint64)be32(bytes) << 32 | be32(bytes + 4);
}

static inline guint16 le16(const guint8 *bytes)
{
    return (guint16)(bytes[0] | bytes[1] << 8);
}

static inline guint32 le32(const guint8 *bytes)
{
    return le16(bytes) | (guint32)le16(bytes + 2) << 16;
}

static inline guint64 le64(const guint8 *bytes)
{
    return le32(bytes) | (guint64)le32(bytes + 4) << 32;
}

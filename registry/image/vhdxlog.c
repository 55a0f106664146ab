#include "image/vhdxlog.h"

#include <string.h>

#define GUID 16u

typedef struct {
    gboolean there;
    guint64 sequence;
    guint8 log[GUID]; /* zeros: it is empty */
} Header;

static Header read_header(const Reader *reader, guint64 offset)
{
    guint8 bytes[64];
    reader_bytes(reader, offset, bytes, sizeof bytes);
    Header header = {.there = memcmp(bytes, "head", 4) == 0, .sequence = le64(bytes + 8)};
    memcpy(header.log, bytes + 48, GUID);
    return header;
}

/* There are two headers; the one that was written last counts. */
gboolean vhdx_has_log(const Reader *reader)
{
    static const guint8 none[GUID] = {0};
    const Header first = read_header(reader, 64u << 10), second = read_header(reader, 128u << 10);
    const Header *last = second.there && (!first.there || second.sequence > first.sequence) ? &second : &first;
    return last->there && memcmp(last->log, none, GUID) != 0;
}

#include "image/vhdxlog.h"

#include <string.h>

#define GUID 16u
#define SECTOR 4096u   /* of a log */
#define ENTRY_HEAD 64u /* of its first sector; then descriptors come, then their data, in sectors of its own */
#define DESCRIPTOR 32u
#define ZEROS_MAX ((guint64)1 << 56) /* bytes: more than any file has */

typedef struct {
    gboolean there;
    guint64 sequence;
    guint8 log[GUID]; /* zeros: it is empty */
    guint64 offset, length;
} Header;

static Header read_header(const Reader *reader, guint64 offset)
{
    guint8 bytes[80];
    reader_bytes(reader, offset, bytes, sizeof bytes);
    Header header = {.there = memcmp(bytes, "head", 4) == 0,
                     .sequence = le64(bytes + 8),
                     .offset = le64(bytes + 72),
                     .length = le32(bytes + 68)};
    memcpy(header.log, bytes + 48, GUID);
    return header;
}

/* There are two headers; the one that was written last counts. */
static Header last_header(const Reader *reader)
{
    const Header first = read_header(reader, 64u << 10), second = read_header(reader, 128u << 10);
    return second.there && (!first.there || second.sequence > first.sequence) ? second : first;
}

gboolean vhdx_has_log(const Reader *reader)
{
    static const guint8 none[GUID] = {0};
    const Header last = last_header(reader);
    return last.there && memcmp(last.log, none, GUID) != 0;
}

/* Of the descriptors in a sector of an entry, from `at` on. */
static guint64 zeros_of_sector(const guint8 *sector, gsize at)
{
    guint64 zeros = 0;
    for (; at < SECTOR; at += DESCRIPTOR) {
        if (memcmp(sector + at, "zero", 4) == 0) {
            zeros += MIN(le64(sector + at + 8), ZEROS_MAX);
        }
    }
    return zeros;
}

/* The log is a ring: an entry may go on at its beginning, so what stands there before any other counts. */
static guint64 zeros_of_log(const Reader *reader, const Header *header)
{
    guint8 sector[SECTOR];
    guint64 zeros = 0;
    gboolean counts = TRUE;
    for (guint64 at = 0; at < header->length && reader_bytes(reader, header->offset + at, sector, SECTOR) == SECTOR;
         at += SECTOR) {
        gboolean begins = memcmp(sector, "loge", 4) == 0;
        if (begins) {
            counts = memcmp(sector + 32, header->log, GUID) == 0;
        }
        if (counts && memcmp(sector, "data", 4) != 0) {
            zeros = MIN(zeros + zeros_of_sector(sector, begins ? ENTRY_HEAD : 0), ZEROS_MAX);
        }
    }
    return zeros;
}

/* QEMU passes over a header whose checksum is wrong. */
guint64 vhdx_log_zeros(const Reader *reader)
{
    const Header first = read_header(reader, 64u << 10), second = read_header(reader, 128u << 10);
    return MAX(zeros_of_log(reader, &first), zeros_of_log(reader, &second));
}

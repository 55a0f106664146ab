#include "server/packs/segment.h"

#include <ingot/error.h>
#include <string.h>

#include "base/file.h"
#include "server/packs/splitter.h"

#define VERSION 1
#define FRESH 0x80000000u
#define TABLE_HEAD 44 /* bytes: digest, size, count */
#define ENTRY 36      /* bytes: digest, length */
#define TABLE_MAX (1u << 30)

typedef struct {
    char magic[8];
    guint32 version, zero;
    guint64 data, table;
    IngotDigest digest;
} __attribute__((packed)) Head;
G_STATIC_ASSERT(sizeof(Head) == SEGMENT_HEAD);

Table *table_new(void)
{
    return table_sized(0);
}

Table *table_sized(guint pieces)
{
    Table *table = g_new0(Table, 1);
    table->pieces = g_array_sized_new(FALSE, FALSE, sizeof(Piece), pieces);
    return table;
}

void table_free(Table *table)
{
    if (table != NULL) {
        g_array_unref(table->pieces);
        g_free(table);
    }
}

void table_add(Table *table, const IngotDigest *digest, guint32 length, gboolean fresh)
{
    Piece piece = {.digest = *digest, .length = length, .fresh = fresh};
    g_array_append_val(table->pieces, piece);
}

gboolean table_has_blob(const Table *table)
{
    static const IngotDigest none;
    return !ingot_digest_equal(&table->blob, &none);
}

static void put(GByteArray *out, guint64 value, guint bytes)
{
    guint64 little = GUINT64_TO_LE(value);
    g_byte_array_append(out, (const guint8 *)&little, bytes);
}

static GByteArray *serialize(const Table *table)
{
    GByteArray *out = g_byte_array_sized_new(TABLE_HEAD + table->pieces->len * ENTRY);
    g_byte_array_append(out, table->blob.bytes, INGOT_DIGEST_SIZE);
    put(out, table->size, 8);
    put(out, table->pieces->len, 4);
    for (guint i = 0; i < table->pieces->len; i++) {
        const Piece *piece = table_piece(table, i);
        g_byte_array_append(out, piece->digest.bytes, INGOT_DIGEST_SIZE);
        put(out, piece->length | (piece->fresh ? FRESH : 0), 4);
    }
    return out;
}

gboolean segment_finish(int fd, guint64 at, guint64 data, const Table *table, guint64 *end, const char *name,
                        GError **error)
{
    g_autoptr(GByteArray) text = serialize(table);
    Head head = {.magic = SEGMENT_MAGIC, .version = GUINT32_TO_LE(VERSION), .data = GUINT64_TO_LE(data)};
    head.table = GUINT64_TO_LE((guint64)text->len);
    ingot_digest_of(text->data, text->len, &head.digest);
    *end = at + SEGMENT_HEAD + data + text->len;
    return ingot_file_pwrite(fd, text->data, text->len, at + SEGMENT_HEAD + data, name, error) &&
           ingot_file_pwrite(fd, &head, sizeof head, at, name, error);
}

static gboolean damaged(const char *name, guint64 at, const char *why, GError **error)
{
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_CORRUPT, "%s: the segment at offset %" G_GUINT64_FORMAT " %s", name, at,
                why);
    return FALSE;
}

static guint64 get(const guint8 *bytes, guint count)
{
    guint64 value = 0;
    memcpy(&value, bytes, count);
    return GUINT64_FROM_LE(value);
}

static Table *parse(const guint8 *text, gsize size, guint64 data)
{
    g_autoptr(Table) table = table_new();
    if (size < TABLE_HEAD || get(text + 40, 4) != (size - TABLE_HEAD) / ENTRY || (size - TABLE_HEAD) % ENTRY != 0) {
        return NULL;
    }
    memcpy(table->blob.bytes, text, INGOT_DIGEST_SIZE);
    table->size = get(text + INGOT_DIGEST_SIZE, 8);
    guint64 all = 0, fresh = 0;
    for (const guint8 *entry = text + TABLE_HEAD; entry < text + size; entry += ENTRY) {
        guint32 length = (guint32)get(entry + INGOT_DIGEST_SIZE, 4);
        gboolean is_fresh = (length & FRESH) != 0;
        length &= ~FRESH;
        all += length;
        fresh += is_fresh ? length : 0;
        if (length == 0 || length > PIECE_MAX) {
            return NULL;
        }
        IngotDigest digest;
        memcpy(digest.bytes, entry, INGOT_DIGEST_SIZE);
        table_add(table, &digest, length, is_fresh);
    }
    return fresh == data && (!table_has_blob(table) || all == table->size) ? g_steal_pointer(&table) : NULL;
}

Table *segment_read(const Pack *pack, guint64 at, guint64 size, guint64 *data, guint64 *end, GError **error)
{
    const char *name = pack_path(pack);
    Head head;
    *end = at;
    if (at + SEGMENT_HEAD > size) {
        damaged(name, at, "is cut short", error);
        return NULL;
    }
    if (!pack_read(pack, at, &head, sizeof head, error)) {
        return NULL;
    }
    guint64 table_size = GUINT64_FROM_LE(head.table);
    *data = GUINT64_FROM_LE(head.data);
    if (memcmp(head.magic, SEGMENT_MAGIC, sizeof head.magic) != 0 || GUINT32_FROM_LE(head.version) != VERSION ||
        head.zero != 0) {
        damaged(name, at, "has no head that is known here", error);
        return NULL;
    }
    if (*data > size || table_size > TABLE_MAX || *data + table_size > size - at - SEGMENT_HEAD) {
        damaged(name, at, "is cut short", error);
        return NULL;
    }
    *end = at + SEGMENT_HEAD + *data + table_size;
    g_autofree guint8 *text = g_malloc(table_size + 1);
    if (!pack_read(pack, at + SEGMENT_HEAD + *data, text, table_size, error)) {
        return NULL;
    }
    IngotDigest digest;
    ingot_digest_of(text, table_size, &digest);
    g_autoptr(Table) table = ingot_digest_equal(&digest, &head.digest) ? parse(text, table_size, *data) : NULL;
    if (table == NULL) {
        damaged(name, at, "has a damaged table", error);
        return NULL;
    }
    return g_steal_pointer(&table);
}

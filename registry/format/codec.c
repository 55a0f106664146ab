#include "format/codec.h"

#include <string.h>

#include "base/idle.h"

struct Coder {
    const Codec *codec;
    gpointer state;
    guint8 *data, *out;
};

static void coder_free(gpointer data)
{
    Coder *coder = data;
    coder->codec->end(coder->state);
    g_free(coder->data);
    g_free(coder->out);
    g_free(coder);
}

static Idle idle = IDLE_INIT(coder_free); /* of all codecs */

static Coder *coder_new(const Codec *codec)
{
    Coder *coder = g_new0(Coder, 1);
    coder->codec = codec;
    coder->state = codec->start();
    coder->data = g_malloc(codec->block);
    coder->out = g_malloc(codec->bound);
    return coder;
}

static gboolean is_of(gconstpointer coder, gconstpointer codec)
{
    return ((const Coder *)coder)->codec == codec;
}

Coder *coder_take(const Codec *codec)
{
    Coder *coder = idle_take(&idle, is_of, codec);
    return coder == NULL ? coder_new(codec) : coder;
}

void coder_give(Coder *coder)
{
    idle_give(&idle, coder);
}

const void *coder_block(Coder *coder, IngotDisk *disk, guint64 offset, guint32 *size, GError **error)
{
    guint member = ingot_disk_at(disk, offset);
    guint64 within = offset - ingot_disk_base(disk, member);
    guint64 end = ingot_disk_index(ingot_disk_member(disk, member))->disk_size;
    gsize count = (gsize)MIN((guint64)coder->codec->block, end - within);
    if (!ingot_disk_read(disk, offset, coder->data, count, error)) {
        return NULL;
    }
    memset(coder->data + count, 0, coder->codec->block - count);
    *size = coder->codec->encode(coder->state, within, coder->data, coder->out);
    return coder->out;
}

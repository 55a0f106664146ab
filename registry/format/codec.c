#include "format/codec.h"

#include <string.h>

#define IDLE_MAX 16u /* coders that are kept */

struct Coder {
    const Codec *codec;
    gpointer state;
    guint8 *data, *out;
};

static GMutex lock;
static GQueue idle = G_QUEUE_INIT; /* of Coder, of all codecs */

static void coder_free(Coder *coder)
{
    coder->codec->end(coder->state);
    g_free(coder->data);
    g_free(coder->out);
    g_free(coder);
}

static Coder *coder_new(const Codec *codec)
{
    Coder *coder = g_new0(Coder, 1);
    coder->codec = codec;
    coder->state = codec->start();
    coder->data = g_malloc(codec->block);
    coder->out = g_malloc(codec->bound);
    return coder;
}

Coder *coder_take(const Codec *codec)
{
    g_mutex_lock(&lock);
    GList *link = idle.head;
    while (link != NULL && ((const Coder *)link->data)->codec != codec) {
        link = link->next;
    }
    Coder *coder = link == NULL ? NULL : link->data;
    if (link != NULL) {
        g_queue_delete_link(&idle, link);
    }
    g_mutex_unlock(&lock);
    return coder == NULL ? coder_new(codec) : coder;
}

void coder_give(Coder *coder)
{
    g_mutex_lock(&lock);
    g_queue_push_head(&idle, coder);
    Coder *over = idle.length > IDLE_MAX ? g_queue_pop_tail(&idle) : NULL;
    g_mutex_unlock(&lock);
    if (over != NULL) {
        coder_free(over);
    }
}

const void *coder_block(Coder *coder, IngotDisk *disk, guint64 offset, guint32 *size, GError **error)
{
    guint64 end = ingot_disk_index(disk)->disk_size;
    gsize count = (gsize)MIN((guint64)coder->codec->block, end - offset);
    if (!ingot_disk_read(disk, offset, coder->data, count, error)) {
        return NULL;
    }
    memset(coder->data + count, 0, coder->codec->block - count);
    *size = coder->codec->encode(coder->state, offset, coder->data, coder->out);
    return coder->out;
}

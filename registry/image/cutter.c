#include "image/cutter.h"

#include <string.h>

#include "base/process.h"
#include "image/chunker.h"
#include "image/encoder.h"

#define READ_SIZE (4u << 20) /* bytes read at once */

typedef struct {
    IngotBlocks *blocks;
    guint32 average;
    CutterFunc piece;
    gpointer user;
    CutterBlock *block; /* what is being cut */
    guint64 at;         /* everything before it is cut, but for the hole that ends there */
    guint64 hole_start; /* of that hole; `at`: there is none */
} Cutter;

static CutterBlock *block_new(guint32 average)
{
    CutterBlock *block = g_atomic_rc_box_new(CutterBlock);
    block->data = g_malloc(READ_SIZE + chunker_max(average));
    return block;
}

static void block_clear(gpointer data)
{
    g_free(((CutterBlock *)data)->data);
}

void cutter_block_unref(CutterBlock *block)
{
    g_atomic_rc_box_release_full(block, block_clear);
}

static gboolean end_hole(Cutter *cutter, GError **error)
{
    while (cutter->hole_start < cutter->at) {
        guint64 next = MIN((cutter->hole_start / INGOT_HOLE_MAX + 1) * INGOT_HOLE_MAX, cutter->at);
        if (!cutter->piece(cutter->user, NULL, NULL, next - cutter->hole_start, error)) {
            return FALSE;
        }
        cutter->hole_start = next;
    }
    return TRUE;
}

/* Cuts what can be cut of size bytes at cutter->at; *used tells how many. last: nothing follows. */
static gboolean cut(Cutter *cutter, const guint8 *data, gsize size, gboolean last, gsize *used, GError **error)
{
    for (*used = 0; *used < size;) {
        const guint8 *rest = data + *used;
        gsize left = size - *used, block = MIN((gsize)INGOT_BLOCK_SIZE, left);
        if (chunker_is_zero(rest, block)) {
            *used += block;
            cutter->at += block;
            continue;
        }
        if (!last && left < chunker_max(cutter->average)) {
            break;
        }
        gsize length = chunker_cut(rest, left, cutter->average);
        if (!end_hole(cutter, error) || !cutter->piece(cutter->user, cutter->block, rest, length, error)) {
            return FALSE;
        }
        *used += length;
        cutter->at += length;
        cutter->hole_start = cutter->at;
    }
    return TRUE;
}

/* Fills a buffer from the disk, reading only what is no hole. */
static gboolean fill(IngotBlocks *blocks, guint64 offset, guint8 *buffer, gsize size, GError **error)
{
    for (gsize done = 0; done < size;) {
        guint64 length;
        gboolean zero;
        if (!ingot_blocks_extent(blocks, offset + done, &length, &zero, error)) {
            return FALSE;
        }
        gsize part = MIN(length, size - done);
        if (zero) {
            memset(buffer + done, 0, part);
        } else if (!ingot_blocks_read(blocks, offset + done, buffer + done, part, error)) {
            return FALSE;
        }
        done += part;
    }
    return TRUE;
}

/* The whole blocks of the hole at offset: *length is 0 where there are none. */
static gboolean hole_at(IngotBlocks *blocks, guint64 offset, guint64 *length, GError **error)
{
    gboolean zero;
    if (!ingot_blocks_extent(blocks, offset, length, &zero, error)) {
        return FALSE;
    }
    if (!zero) {
        *length = 0;
    } else if (offset + *length < ingot_blocks_size(blocks)) {
        *length -= *length % INGOT_BLOCK_SIZE;
    }
    return TRUE;
}

/* Reads and cuts the next part; what is left uncut is carried over into a block of its own. */
static gboolean cut_part(Cutter *cutter, guint64 offset, gsize part, gsize *kept, GError **error)
{
    gsize used;
    guint8 *data = cutter->block->data;
    gboolean last = offset + part == ingot_blocks_size(cutter->blocks);
    if (!fill(cutter->blocks, offset, data + *kept, part, error) ||
        !cut(cutter, data, *kept + part, last, &used, error)) {
        return FALSE;
    }
    *kept = *kept + part - used;
    CutterBlock *next = block_new(cutter->average);
    memcpy(next->data, data + used, *kept);
    cutter_block_unref(cutter->block);
    cutter->block = next;
    return TRUE;
}

gboolean cutter_run(IngotBlocks *blocks, guint32 average, IngotProgress *progress, CutterFunc piece, gpointer user,
                    GError **error)
{
    Cutter cutter = {.blocks = blocks, .average = average, .piece = piece, .user = user};
    guint64 size = ingot_blocks_size(blocks);
    gsize kept = 0; /* bytes at the block's start that are not cut yet */
    gboolean ok = TRUE;
    cutter.block = block_new(average);
    for (guint64 offset = 0; ok && offset < size;) {
        guint64 part = 0;
        ok = ingot_interrupt_check(error) && (kept > 0 || hole_at(blocks, offset, &part, error));
        if (ok && part > 0) {
            cutter.at += part;
        } else if (ok) {
            part = MIN(READ_SIZE, size - offset);
            ok = cut_part(&cutter, offset, part, &kept, error);
        }
        offset += part;
        ingot_progress_add(progress, part);
    }
    cutter_block_unref(cutter.block);
    return ok && end_hole(&cutter, error);
}

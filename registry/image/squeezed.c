#include "image/squeezed.h"

#include <gio/gio.h>
#include <zstd.h>

static gboolean inflates(const guint8 *bytes, gsize count, gsize size)
{
    g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_RAW);
    g_autofree guint8 *cluster = g_malloc(size);
    gsize read = 0, written = 0;
    for (gsize taken = 0, made = 0; made <= size;) {
        GConverterResult result = g_converter_convert(G_CONVERTER(zlib), bytes + taken, count - taken, cluster + made,
                                                      size - made, G_CONVERTER_NO_FLAGS, &read, &written, NULL);
        if (result != G_CONVERTER_CONVERTED) {
            return result == G_CONVERTER_FINISHED;
        }
        taken += read;
        made += written;
    }
    return FALSE;
}

gboolean squeezed_is_whole(const Reader *reader, guint64 offset, guint64 end, gsize size, gboolean zstd)
{
    if (offset >= end) {
        return FALSE;
    }
    gsize count = MIN(end - offset, (guint64)size);
    g_autofree guint8 *bytes = g_malloc(count);
    if (reader_bytes(reader, offset, bytes, count) != count) {
        return FALSE;
    }
    return zstd ? !ZSTD_isError(ZSTD_findFrameCompressedSize(bytes, count)) : inflates(bytes, count, size);
}

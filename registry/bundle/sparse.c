#include "bundle/sparse.h"

#include "base/file.h"
#include "image/chunker.h"

#define HOLE_SIZE 4096u

gboolean sparse_write(int fd, const guint8 *bytes, gsize size, guint64 offset, const char *name, GError **error)
{
    for (gsize done = 0; done < size;) {
        gsize part = MIN(size - done, HOLE_SIZE);
        if (!chunker_is_zero(bytes + done, part) &&
            !ingot_file_pwrite(fd, bytes + done, part, offset + done, name, error)) {
            return FALSE;
        }
        done += part;
    }
    return TRUE;
}

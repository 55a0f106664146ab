#include "bundle/sparse.h"

#include "base/file.h"
#include "image/chunker.h"

#define HOLE_SIZE 4096u

/* Bytes from at on that are all holes, or none of them: whole blocks, but for the end. */
static gsize run_length(const guint8 *bytes, gsize at, gsize size, gboolean *zero)
{
    gsize end = at + MIN(size - at, HOLE_SIZE);
    *zero = chunker_is_zero(bytes + at, end - at);
    while (end < size && chunker_is_zero(bytes + end, MIN(size - end, HOLE_SIZE)) == *zero) {
        end += MIN(size - end, HOLE_SIZE);
    }
    return end - at;
}

gboolean sparse_write(int fd, const guint8 *bytes, gsize size, guint64 offset, guint64 *written, const char *name,
                      GError **error)
{
    for (gsize done = 0; done < size;) {
        gboolean zero;
        gsize run = run_length(bytes, done, size, &zero);
        if (!zero && !ingot_file_pwrite(fd, bytes + done, run, offset + done, name, error)) {
            return FALSE;
        }
        if (!zero && written != NULL) {
            *written += run;
        }
        done += run;
    }
    return TRUE;
}

#include "server/auth/random.h"

#include <errno.h>
#include <ingot/error.h>
#include <sys/random.h>

gboolean random_bytes(guint8 *bytes, gsize size, GError **error)
{
    /* Up to 256 bytes come whole. */
    return getrandom(bytes, size, 0) == (gssize)size || ingot_error_set_errno(error, errno, "getrandom");
}

#include <ingot/error.h>

#include <errno.h>

G_DEFINE_QUARK(ingot - error - quark, ingot_error)

static IngotError code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR:
        return INGOT_ERROR_NOT_FOUND;
    case EEXIST:
        return INGOT_ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return INGOT_ERROR_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return INGOT_ERROR_NO_SPACE;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
        return INGOT_ERROR_NETWORK;
    default:
        return INGOT_ERROR_FAILED;
    }
}

gboolean ingot_error_set_errno(GError **error, int errnum, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, INGOT_ERROR, code_of_errno(errnum), "%s: %s", message, g_strerror(errnum));
    return FALSE;
}

int ingot_error_exit_status(const GError *error)
{
    if (!error)
        return 0;
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INVALID))
        return 2;
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_REFUSED))
        return 3;
    if (g_error_matches(error, INGOT_ERROR, INGOT_ERROR_INTERRUPTED))
        return 130;
    return 1;
}

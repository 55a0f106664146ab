#include "trust/pem.h"

#include <glib.h>
#include <string.h>

int pem_passphrase(char *buffer, int size, int writing, void *user)
{
    const char *passphrase = user;
    gsize length = strlen(passphrase);
    (void)writing;
    if (length == 0 || length > (gsize)size) {
        return -1;
    }
    memcpy(buffer, passphrase, length); // NOLINT(bugprone-not-null-terminated-result): its length is told
    return (int)length;
}

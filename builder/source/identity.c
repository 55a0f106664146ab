#include "source/identity.h"

#include <ingot/digest.h>
#include <string.h>

static void derive(const char *key, const char *label, IngotDigest *out)
{
    g_autoptr(IngotHasher) hasher = ingot_hasher_new();
    ingot_hasher_add(hasher, key, strlen(key) + 1);
    ingot_hasher_add(hasher, label, strlen(label) + 1);
    ingot_hasher_finish(hasher, out);
}

void identity_derive_uuid(const char *key, const char *label, char out[IDENTITY_UUID_SIZE])
{
    IngotDigest digest;
    derive(key, label, &digest);
    guint8 *b = digest.bytes;
    b[6] = (guint8)((b[6] & 0x0f) | 0x80); /* version 8 */
    b[8] = (guint8)((b[8] & 0x3f) | 0x80); /* the RFC's variant */
    g_snprintf(out, IDENTITY_UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
               b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

guint32 identity_serial(const char *key, const char *label)
{
    IngotDigest digest;
    derive(key, label, &digest);
    guint32 serial;
    memcpy(&serial, digest.bytes, sizeof serial);
    return GUINT32_FROM_LE(serial);
}

/* Identities that formats ask for, made from what the disk is: the same disk has the same, another one another. */
#pragma once

#include <ingot/format.h>

/* A UUID of version 8 (RFC 9562): the SHA-256 of the chunks of the input's (first) disk and of the purpose, cut. Of
 * equal disks of one image, each has another. */
void identity_uuid(const IngotFormatInput *input, const char *purpose, guint8 uuid[16]);

/* Identities that formats ask for, made from what the disk is: the same disk has the same, another one another. */
#pragma once

#include <ingot/index.h>

/* A UUID of version 8 (RFC 9562): the SHA-256 of the disk's chunks and of the purpose, cut. */
void identity_uuid(const IngotIndex *index, const char *purpose, guint8 uuid[16]);

/* Identifiers that follow from a key: the same key and label give the same UUID on every machine, and nothing random is
 * in a disk that is laid out with them. */
#pragma once

#include <glib.h>

#define IDENTITY_UUID_SIZE 37 /* 36 characters + NUL */

/* A UUID of version 8 (RFC 9562: custom) from SHA-256 over key and label. */
void identity_derive_uuid(const char *key, const char *label, char out[IDENTITY_UUID_SIZE]);
/* 32 bits of the same digest, for serial numbers. */
guint32 identity_serial(const char *key, const char *label);

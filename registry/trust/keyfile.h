/* Keys in files: FILE has the private one, which its owner alone may read, FILE.pub beside it the public one.
 *
 * In place of a file's path stands a URI (trust/keystore.h) where the key is elsewhere, but for a new key.
 *
 * The passphrase or PIN is $INGOT_PASSPHRASE, or typed at the terminal; an empty one has to be asked for. */
#pragma once

#include "trust/key.h"

typedef struct {
    gboolean replace;       /* what is there already */
    gboolean no_passphrase; /* the private key lies there as it is */
} TrustKeyOptions;

/* Makes a key and both files. EXISTS: one of them is there, and stays as it is. */
TrustKey *trust_keyfile_generate(const char *path, const TrustKeyOptions *options, GError **error);
/* DENIED where others than its owner can read the file, or the passphrase is wrong. */
TrustKey *trust_keyfile_read_private(const char *path, GError **error);
TrustKey *trust_keyfile_read_public(const char *path, GError **error);
/* Whichever of both the file has, for what it tells of its public key: no passphrase is asked for where FILE.pub is
 * there. Of a URI, the public key or the certificate. */
TrustKey *trust_keyfile_read_any(const char *path, GError **error);
/* All of these public keys: GPtrArray of TrustKey. */
GPtrArray *trust_keyfile_read_all(char *const *paths, GError **error);

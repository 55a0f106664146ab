/* A SHA-256 that can be laid down and taken up again, by this process or another one.
 *
 * It is a plain struct: a copy goes on by itself. What is kept of it is what FIPS 180-4 says there is between two
 * blocks (eight words, the bytes so far, those of the block that has begun), not what some library makes of it: it can
 * be read by any that gives its words out. */
#pragma once

#include <ingot/digest.h>
#include <nettle/sha2.h>

#define MIDSUM_SIZE 104 /* bytes that are kept */

typedef struct {
    struct sha256_ctx context;
} Midsum;

void midsum_begin(Midsum *sum);
void midsum_add(Midsum *sum, const void *data, gsize size);
/* Of what has come so far; more may come. */
void midsum_digest(const Midsum *sum, IngotDigest *digest);

void midsum_save(const Midsum *sum, guint8 *bytes);
/* FALSE: these are not what midsum_save wrote. */
gboolean midsum_load(Midsum *sum, const guint8 *bytes);

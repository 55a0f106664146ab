/* A client of S3: objects of one bucket, by libcurl, which signs each request (AWS Signature Version 4). Servers that
 * speak S3 besides Amazon's have an endpoint. Requests are repeated as remote/patience.h has it. */
#pragma once

#include <ingot/digest.h>
#include <ingot/options.h>
#include <ingot/progress.h>

/* Amazon's limit for an object that is put at once. */
#define S3_PUT_MAX ((guint64)5 << 30)

typedef struct {
    char *key, *secret, *token; /* token: of a login for a while; NULL: none */
    char *region;               /* "eu-north-1" */
    char *endpoint;             /* "https://s3.example"; NULL: Amazon's own */
} S3Access;
void s3_access_clear(S3Access *access);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(S3Access, s3_access_clear)

typedef struct S3 S3;
/* access and options are copied; progress (may be NULL) is of what is sent and stays the caller's. INVALID: a name that
 * no bucket can have, or an endpoint that is no URL. */
S3 *s3_new(const char *bucket, const S3Access *access, const IngotRemoteOptions *options, IngotProgress *progress,
           GError **error);
void s3_free(S3 *s3);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3, s3_free)
/* Of the bucket, or of an object; free it. */
char *s3_url(const S3 *s3, const char *key);

gboolean s3_find(S3 *s3, const char *key, gboolean *there, guint64 *size, GError **error);
/* *bytes NULL: there is no such object. limit: LIMIT where it has more. */
gboolean s3_get(S3 *s3, const char *key, gsize limit, GBytes **bytes, char **etag, GError **error);

/* What is put: size bytes of a file, or of memory. */
typedef struct {
    const char *type;          /* its media type */
    const char *cache_control; /* NULL: none is said */
    int fd;                    /* read from its beginning, where data is NULL */
    const void *data;
    guint64 size;
    IngotDigest digest; /* S3 refuses other bytes */
} S3Body;
/* Whatever is there. */
gboolean s3_put(S3 *s3, const char *key, const S3Body *body, GError **error);
/* Only where the object has that ETag (NULL: is not there); else *moved. */
gboolean s3_replace(S3 *s3, const char *key, const S3Body *body, const char *etag, gboolean *moved, GError **error);

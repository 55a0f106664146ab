/* A site: where objects are published, named by paths, for any web server to serve as they lie there. It is a folder,
 * or what lies below a prefix in a bucket of S3's.
 *
 * An object is there as a whole or not at all. One that several publishers change is changed by compare-and-set, so
 * that none loses what another has added. */
#pragma once

#include <ingot/digest.h>
#include <ingot/options.h>
#include <ingot/progress.h>

#include "cli/publish/s3.h"

typedef struct Site Site;

/* Where it is, and for S3 how its server is asked; all of it is copied. */
typedef struct {
    const char *place;                /* DIR or s3://BUCKET[/PREFIX] */
    const S3Access *s3;               /* not read for a folder */
    const IngotRemoteOptions *remote; /* likewise */
    IngotProgress *progress;          /* of what is sent; may be NULL; stays the caller's */
} SiteOptions;

/* Makes the folder where it is missing. */
Site *site_open(const SiteOptions *options, GError **error);
void site_free(Site *site);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Site, site_free)

/* Whether a place is a bucket's. */
gboolean site_is_s3(const char *place);
/* The URL by which S3 itself serves it; NULL: a folder has none of its own. Free it. */
char *site_url(const Site *site);
/* "DIR/PATH" or "s3://BUCKET/PREFIX/PATH", for messages; free it. */
char *site_name(const Site *site, const char *path);

/* A file that becomes an object. */
typedef struct {
    const char *path; /* of the file */
    const char *type; /* its media type */
    guint64 size;
    IngotDigest digest;
    gboolean gives; /* the file may be moved away */
} SiteObject;

/* *there FALSE: there is no such object. size: its bytes. */
gboolean site_find(Site *site, const char *path, gboolean *there, guint64 *size, GError **error);
/* *bytes: the object's, at most limit (LIMIT); NULL: there is none. */
gboolean site_read(Site *site, const char *path, gsize limit, GBytes **bytes, GError **error);
/* Puts a file there, in the place of what is there. */
gboolean site_put(Site *site, const char *path, const SiteObject *object, GError **error);

/* What an object is to become: a new reference; the same bytes change nothing. before: NULL where there is none. It may
 * be asked again, of what another publisher has made of it meanwhile. NULL and an error: it stays as it is. */
typedef GBytes *(*SiteChange)(GBytes *before, gpointer user, GError **error);
gboolean site_change(Site *site, const char *path, const char *type, gsize limit, SiteChange change, gpointer user,
                     GError **error);

/* --- the two kinds --- */

typedef struct {
    gboolean (*find)(Site *site, const char *path, gboolean *there, guint64 *size, GError **error);
    /* *version: what tells these bytes from others; NULL: there are none. */
    gboolean (*read)(Site *site, const char *path, gsize limit, GBytes **bytes, char **version, GError **error);
    gboolean (*put)(Site *site, const char *path, const SiteObject *object, GError **error);
    /* Only where the object still has that version (NULL: is not there); else *moved, and nothing is done. */
    gboolean (*replace)(Site *site, const char *path, const char *type, GBytes *bytes, const char *version,
                        gboolean *moved, GError **error);
    char *(*url)(const Site *site);
    char *(*name)(const Site *site, const char *path);
    void (*free)(Site *site);
} SiteKind;
struct Site {
    const SiteKind *kind;
};
Site *site_folder_open(const SiteOptions *options, GError **error);
Site *site_s3_open(const SiteOptions *options, GError **error);

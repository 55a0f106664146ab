/* Formats: what an image can be seen as. Each is a view of the one stored disk, worked out from its index and config,
 * the same bytes each time.
 *
 * A format that compresses has to know how large each block of the disk becomes, and one that tells a file's SHA-256
 * has to know that, before it can be laid out: it is measured in a pass over the disk, unless it was kept. An export
 * writes in that pass. */
#pragma once

#include <ingot/layout.h>
#include <jansson.h>

G_BEGIN_DECLS
#pragma GCC visibility push(default)

/* Keeps what was measured of one image, from one time to the next. Both may be called by any thread. */
typedef struct {
    /* What was kept under that name, or NULL; the caller's, free it. */
    GBytes *(*find)(const char *what, gpointer user);
    void (*keep)(const char *what, GBytes *value, gpointer user);
    gpointer user;
} IngotFormatKeeper;

/* What a view is made from; all of it stays the caller's. */
typedef struct {
    IngotDisk *disk;                 /* the image's; joined where it has several (disk.h) */
    guint number, count;             /* only `count` of them, from this one on; count 0: all */
    const json_t *config;            /* the image's config; NULL: unknown */
    const char *name;                /* of the image, without host or tag: names files; "team/web"; NULL: unknown */
    const IngotFormatKeeper *keeper; /* NULL: what is to be measured is measured anew */
    IngotProgress *progress;         /* of that; may be NULL */
    struct IngotFormatEarly *early;  /* the export's own; NULL elsewhere */
} IngotFormatInput;

typedef struct {
    char *name; /* "disk.qcow2" */
    IngotLayout *layout;
} IngotFormatFile;

typedef struct {
    const char *name;    /* "qcow2" */
    const char *summary; /* what it is for, in one line */
    /* FALSE: the image can't have this format (INVALID); nothing is measured for that. Asked of each disk alone. NULL:
     * every image can. */
    gboolean (*can)(const IngotFormatInput *input, GError **error);
    /* Its files: GPtrArray of IngotFormatFile, free it. Not called where `can` says no. */
    GPtrArray *(*files)(const IngotFormatInput *input, GError **error);
    /* What compresses it, with its version: a name without blanks; then it is one file, or one for each disk. NULL:
     * nothing does. */
    const char *(*codec)(void);
    /* How many disks a machine of it has at most; 0: it is no machine, but a disk, and of several, each is a file. */
    guint disks;
    /* What the name of such a file ends in: "qcow2" for disk.qcow2, and for disk0.qcow2 and disk1.qcow2 of two disks.
     */
    const char *ending;
} IngotFormat;

/* All formats, ended by NULL. */
const IngotFormat *const *ingot_formats(void);
/* By name; INVALID, with the nearest known. */
const IngotFormat *ingot_format_find(const char *name, GError **error);

gboolean ingot_format_can(const IngotFormat *format, const IngotFormatInput *input, GError **error);
/* Its files, or NULL as `can` and `files` say. */
GPtrArray *ingot_format_files(const IngotFormat *format, const IngotFormatInput *input, GError **error);
/* The one of that name, the list's own; NOT_FOUND. */
const IngotFormatFile *ingot_format_file(const GPtrArray *files, const char *name, GError **error);
/* The entity tag (RFC 9110, section 8.8.3) under which a registry serves a file of the image with that manifest: who
 * makes the file himself tells by it whether it is the same. Free it. */
char *ingot_format_tag(const IngotFormat *format, const char *file, const IngotDigest *manifest);
/* Whether the input's keeper has the SHA-256 of one of them: nothing is read for it. */
gboolean ingot_format_digest_kept(const IngotFormat *format, const IngotFormatInput *input, const IngotFormatFile *file,
                                  IngotDigest *digest);
/* The SHA-256 of one of them, kept by the input's keeper. */
gboolean ingot_format_digest(const IngotFormat *format, const IngotFormatInput *input, const IngotFormatFile *file,
                             IngotDigest *digest, GError **error);

/* Whether it is a folder of files, for this input. */
gboolean ingot_format_is_folder(const IngotFormat *format, const IngotFormatInput *input);
/* Writes them: one file to path as ingot_layout_export does, several into a new folder there, which is whole when it
 * gets its name. */
gboolean ingot_format_write(const GPtrArray *files, IngotDisk *disk, const char *path, IngotProgress *progress,
                            GError **error);
/* Both in one: ingot_format_files and ingot_format_write, where nothing is compressed twice. The stage of progress is
 * the caller's; that of the input is not used. */
gboolean ingot_format_export(const IngotFormat *format, const IngotFormatInput *input, const char *path,
                             IngotProgress *progress, GError **error);
/* The same of one of its files, by name (NOT_FOUND; NULL: its first). *size receives its bytes; may be NULL. */
gboolean ingot_format_export_file(const IngotFormat *format, const IngotFormatInput *input, const char *file,
                                  const char *path, guint64 *size, IngotProgress *progress, GError **error);

#pragma GCC visibility pop
G_END_DECLS

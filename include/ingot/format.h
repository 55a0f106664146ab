/* Formats: what an image can be seen as. Each is a view of the one stored disk, worked out from its index and config
 * alone, the same bytes each time. */
#pragma once

#include <ingot/json.h>
#include <ingot/layout.h>

G_BEGIN_DECLS

/* What a view is made from; all of it stays the caller's. */
typedef struct {
    IngotDisk *disk;
    const json_t *config; /* the image's config; NULL: unknown */
    const char *name;     /* of the image, without host or tag: names files; "team/web" */
    const char *version;  /* its tag; NULL: unknown */
} IngotFormatInput;

typedef struct {
    char *name; /* "disk.qcow2" */
    IngotLayout *layout;
} IngotFormatFile;

typedef struct {
    const char *name;    /* "qcow2" */
    const char *summary; /* what it is for, in one line */
    /* Its files, the disk's first: GPtrArray of IngotFormatFile. NULL: the image can't have this format (INVALID). */
    GPtrArray *(*files)(const IngotFormatInput *input, GError **error);
} IngotFormat;

/* All formats, ended by NULL. */
const IngotFormat *const *ingot_formats(void);
extern const IngotFormat *const ingot_format_raw, *const ingot_format_qcow2;
/* By name; INVALID, with the nearest known. */
const IngotFormat *ingot_format_find(const char *name, GError **error);

/* Writes the first file of a format: ingot_layout_export of it. */
gboolean ingot_format_export(const IngotFormat *format, const IngotFormatInput *input, const char *path,
                             IngotProgress *progress, GError **error);

/* For those who write formats: a list of files, and one more for it (the layout is the list's then). */
GPtrArray *ingot_format_files_new(void);
void ingot_format_files_add(GPtrArray *files, const char *name, IngotLayout *layout);

G_END_DECLS

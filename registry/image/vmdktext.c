#include "image/vmdktext.h"

#include <ingot/error.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TEXT_MAX (256u << 10)  /* bytes: 64 an extent, on average */
#define SHOWN_MAX 80u          /* bytes of a line in a message */
#define PARENT_TEXT_MAX 10239u /* bytes in which QEMU looks for the parent */
#define SECTORS_MAX (G_MAXINT64 / 512)

/* One extent as sscanf finds it; the sizes are QEMU's. */
typedef struct {
    int matches;
    char access[11], type[11], name[512];
    gint64 sectors, offset;
} Scan;

static Scan scan(const char *text)
{
    Scan scan = {.offset = -1};
    scan.matches = sscanf(text, "%10s %" G_GINT64_MODIFIER "d %10s \"%511[^\n\r\"]\" %" G_GINT64_MODIFIER "d",
                          scan.access, &scan.sectors, scan.type, scan.name, &scan.offset);
    return scan;
}

static gboolean is_opened(const Scan *scan)
{
    return scan->matches >= 4 && strcmp(scan->access, "RW") == 0;
}

static gboolean is_same(const Scan *a, const Scan *b)
{
    return a->matches == b->matches && (a->matches < 1 || strcmp(a->access, b->access) == 0) &&
           (a->matches < 2 || a->sectors == b->sectors) && (a->matches < 3 || strcmp(a->type, b->type) == 0) &&
           (a->matches < 4 || strcmp(a->name, b->name) == 0) && (a->matches < 5 || a->offset == b->offset);
}

/* Whether a line is meant as an extent: by its first word, its access. */
static gboolean is_extent(const char *line)
{
    static const char *const accesses[] = {"RW", "RDONLY", "NOACCESS"};
    line += strspn(line, " \t");
    gsize size = strcspn(line, " \t\r\n");
    for (guint i = 0; i < G_N_ELEMENTS(accesses); i++) {
        if (size == strlen(accesses[i]) && g_ascii_strncasecmp(line, accesses[i], size) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

typedef struct {
    const char *name;
    guint number;     /* of the line, from 1 on */
    const char *line; /* alone */
    guint64 sectors;  /* of all extents so far */
    GArray *extents;
} Reading;

static gboolean refuse(const Reading *reading, const char *why, GError **error)
{
    g_autofree char *line = g_strstrip(g_strdup(reading->line)), *shown = ingot_text_head(line, SHOWN_MAX);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: line %u of its descriptor, '%s': %s", reading->name,
                reading->number, shown, why);
    return FALSE;
}

/* The types that QEMU opens, and whether the line ends with an offset. */
static gboolean find_kind(const Reading *reading, const Scan *scan, VmdkExtent *extent, GError **error)
{
    static const struct {
        const char *type;
        VmdkKind kind;
        int matches;
    } types[] = {{"FLAT", VMDK_FLAT, 5},
                 {"VMFS", VMDK_FLAT, 4},
                 {"SPARSE", VMDK_SPARSE, 4},
                 {"VMFSSPARSE", VMDK_SPARSE, 4},
                 {"SESPARSE", VMDK_SESPARSE, 4}};
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        if (scan->matches >= 3 && strcmp(scan->type, types[i].type) == 0) {
            extent->kind = types[i].kind;
            return scan->matches == types[i].matches ||
                   refuse(reading,
                          types[i].matches == 5 ? "a flat extent is followed by its file's name and an offset"
                                                : "an extent of this type is followed by its file's name alone",
                          error);
        }
    }
    return refuse(reading, "an extent of a type that is not taken (FLAT, SPARSE, VMFS, VMFSSPARSE and SESPARSE are)",
                  error);
}

static gboolean add_extent(Reading *reading, const Scan *scan, GError **error)
{
    VmdkExtent extent = {.offset = 0};
    if (scan->matches < 1 || strcmp(scan->access, "RW") != 0) {
        return refuse(reading, "an extent that is not RW is left out by QEMU, and the disk would be shorter", error);
    }
    if (!find_kind(reading, scan, &extent, error)) {
        return FALSE;
    }
    if (scan->sectors <= 0 || (guint64)scan->sectors > SECTORS_MAX - reading->sectors ||
        (scan->matches == 5 && (scan->offset < 0 || (guint64)scan->offset > SECTORS_MAX - (guint64)scan->sectors))) {
        return refuse(reading, "a size or an offset that no disk has", error);
    }
    if (reading->extents->len == VMDK_EXTENTS_MAX) {
        return refuse(reading, "one extent too many", error);
    }
    extent.sectors = (guint64)scan->sectors;
    extent.offset = scan->matches == 5 ? (guint64)scan->offset : 0;
    extent.name = g_strdup(scan->name);
    reading->sectors += extent.sectors;
    g_array_append_val(reading->extents, extent);
    return TRUE;
}

/* at: the line with all that follows it, which is what QEMU sees. */
static gboolean read_line(Reading *reading, const char *at, GError **error)
{
    const Scan meant = scan(reading->line), opened = scan(at);
    if (!is_extent(reading->line)) {
        return !is_opened(&opened) ||
               refuse(reading,
                      "QEMU reads an extent that begins here and goes on in the next line (one that stands after an "
                      "empty line it reads twice): remove the line",
                      error);
    }
    return (is_same(&meant, &opened) || refuse(reading, "QEMU takes the next line for a part of it", error)) &&
           add_extent(reading, &meant, error);
}

static gboolean read_lines(Reading *reading, const char *text, GError **error)
{
    for (const char *at = text; *at != '\0';) {
        gsize size = strcspn(at, "\n");
        g_autofree char *line = g_strndup(at, size);
        reading->line = line;
        reading->number++;
        if (!read_line(reading, at, error)) {
            return FALSE;
        }
        at += size + (at[size] == '\n' ? 1 : 0);
    }
    return TRUE;
}

/* It is found as QEMU finds it: wherever the word stands first. */
static gboolean check_type(const char *text, const char *name, GError **error)
{
    static const char *const types[] = {"monolithicFlat",    "vmfs", "vmfsSparse", "seSparse", "twoGbMaxExtentSparse",
                                        "twoGbMaxExtentFlat"};
    static const char key[] = "createType";
    const char *at = strstr(text, key);
    if (at == NULL || strlen(at) < sizeof key + 1) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the VMDK's descriptor has no createType", name);
        return FALSE;
    }
    at += sizeof key + 1; /* behind ="  */
    g_autofree char *type = g_strndup(at, strcspn(at, "\""));
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        if (strcmp(type, types[i]) == 0) {
            return TRUE;
        }
    }
    g_autofree char *shown = ingot_text_head(type, SHOWN_MAX);
    g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID,
                "%s: a VMDK of the type '%s', which QEMU does not read; make one file of it (vmware-vdiskmanager -r, "
                "vmkfstools -i, VBoxManage clonemedium)",
                name, shown);
    return FALSE;
}

static void extent_clear(gpointer data)
{
    g_free(((VmdkExtent *)data)->name);
}

GArray *vmdk_text_extents(const char *text, const char *name, GError **error)
{
    g_autoptr(GArray) extents = g_array_new(FALSE, FALSE, sizeof(VmdkExtent));
    Reading reading = {.name = name, .extents = extents};
    g_array_set_clear_func(extents, extent_clear);
    if (strlen(text) > TEXT_MAX) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: a descriptor of more than %u bytes", name, TEXT_MAX);
        return NULL;
    }
    if (!check_type(text, name, error) || !read_lines(&reading, text, error)) {
        return NULL;
    }
    if (extents->len == 0) {
        g_set_error(error, INGOT_ERROR, INGOT_ERROR_INVALID, "%s: the VMDK's descriptor names no extent", name);
        return NULL;
    }
    return g_steal_pointer(&extents);
}

guint vmdk_text_count(const char *text)
{
    guint count = 0;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n' ? 1 : 0;
        count += is_extent(line) ? 1 : 0;
    }
    return count;
}

char *vmdk_text_parent(const char *text, gboolean *there)
{
    static const char hint_key[] = "parentFileNameHint", id_key[] = "parentCID";
    g_autofree char *head = g_strndup(text, PARENT_TEXT_MAX);
    const char *hint = strstr(text, hint_key), *id = strstr(head, id_key);
    guint value = 0;
    *there = id != NULL && strlen(id) > sizeof id_key && sscanf(id + sizeof id_key, "%x", &value) == 1;
    if (hint != NULL) {
        hint += strlen(hint_key);
        hint += strspn(hint, " =\"");
        return g_strndup(hint, strcspn(hint, "\"\r\n"));
    }
    return *there && value != G_MAXUINT32 ? g_strdup_printf("the disk whose CID is %08x", value) : NULL;
}

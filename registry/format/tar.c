#include "format/tar.h"

#include <stdio.h>
#include <string.h>

#define BLOCK 512u
#define OCTAL_MAX (G_GUINT64_CONSTANT(1) << 33) /* bytes: eleven octal digits say less than this */

typedef struct {
    char name[TAR_NAME_MAX], mode[8], owner[8], group[8];
    guint8 size[12];
    char time[12], sum[8], type;
    char link[100], magic[6];
    guint8 version[2];
    char owner_name[32], group_name[32], major[8], minor[8], prefix[155], rest[12];
} __attribute__((packed)) Head;
G_STATIC_ASSERT(sizeof(Head) == BLOCK);

static void put_size(Head *head, guint64 size)
{
    if (size < OCTAL_MAX) {
        snprintf((char *)head->size, sizeof head->size, "%011" G_GINT64_MODIFIER "o", size);
        return;
    }
    guint64 big = GUINT64_TO_BE(size);
    head->size[0] = 0x80;
    memcpy(head->size + 4, &big, sizeof big);
}

/* The sum of all bytes, its own field taken as blanks. */
static void put_sum(Head *head)
{
    guint sum = 0;
    memset(head->sum, ' ', sizeof head->sum);
    for (gsize i = 0; i < sizeof *head; i++) {
        sum += ((const guint8 *)head)[i];
    }
    snprintf(head->sum, sizeof head->sum, "%06o", sum);
}

void tar_add(IngotLayout *archive, const char *name, IngotLayout *file)
{
    Head head = {.mode = "0000644",
                 .owner = "0000000",
                 .group = "0000000",
                 .time = "00000000000",
                 .type = '0',
                 .magic = "ustar",
                 .version = {'0', '0'},
                 .owner_name = "root",
                 .group_name = "root"};
    g_assert(strlen(name) <= sizeof head.name);
    memcpy(head.name, name, strlen(name)); /* a whole field has no NUL */
    put_size(&head, ingot_layout_size(file));
    put_sum(&head);
    ingot_layout_add_bytes(archive, &head, sizeof head);
    ingot_layout_add_layout(archive, file);
    ingot_layout_pad(archive, BLOCK);
}

void tar_add_text(IngotLayout *archive, const char *name, const char *text)
{
    g_autoptr(IngotLayout) file = ingot_layout_new();
    ingot_layout_add_bytes(file, text, strlen(text));
    tar_add(archive, name, file);
}

void tar_end(IngotLayout *archive)
{
    ingot_layout_add_zeros(archive, 2 * (guint64)BLOCK);
    ingot_layout_pad(archive, 20 * (guint64)BLOCK);
}

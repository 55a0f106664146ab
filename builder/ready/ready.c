#include "ready/ready.h"

#include "ready/drivers.h"

#define SECONDS 1800 /* an initramfs takes a minute for each kernel under emulation */
#define BOX "vagrant-"

/* guest.sh, with a NUL behind it. */
__asm__(".pushsection .rodata\n"
        "ready_guest_sh: .incbin \"builder/ready/guest.sh\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char ready_guest_sh[];

static void add_word(GString *text, const char *separator, const char *word)
{
    g_string_append_printf(text, "%s%s", text->len == 0 ? "" : separator, word);
}

/* "ahci:vdi,vmdk mptspi:vmdk": each driver that is needed, and what for. */
static char *needs_of(const json_t *outputs)
{
    g_autoptr(GHashTable) by_driver = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) drivers = g_ptr_array_new();
    for (const ReadyOutput *row = ready_outputs; row->format != NULL; row++) {
        for (guint i = 0; ingot_json_has_text(outputs, row->format) && row->drivers[i] != NULL; i++) {
            GString *formats = g_hash_table_lookup(by_driver, row->drivers[i]);
            if (formats == NULL) {
                formats = g_string_new(NULL);
                g_hash_table_insert(by_driver, (gpointer)row->drivers[i], formats);
                g_ptr_array_add(drivers, (gpointer)row->drivers[i]);
            }
            add_word(formats, ",", row->format);
        }
    }
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < drivers->len; i++) {
        const char *driver = g_ptr_array_index(drivers, i);
        GString *formats = g_hash_table_lookup(by_driver, driver);
        g_autofree char *need = g_strdup_printf("%s:%s", driver, formats->str);
        add_word(text, " ", need);
        g_string_free(formats, TRUE);
    }
    return g_string_free(text, FALSE);
}

static void add_drivers(GPtrArray *all, const char *const *drivers)
{
    for (guint i = 0; drivers[i] != NULL; i++) {
        if (!g_ptr_array_find_with_equal_func(all, drivers[i], g_str_equal, NULL)) {
            g_ptr_array_add(all, (gpointer)drivers[i]);
        }
    }
}

/* Every driver of the table: a disk comes to hang on another bus than its format was made for. */
static char *wanted_drivers(void)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();
    for (const ReadyOutput *row = ready_outputs; row->format != NULL; row++) {
        add_drivers(all, row->drivers);
    }
    add_drivers(all, ready_besides);
    g_ptr_array_add(all, NULL);
    return g_strjoinv(" ", (char **)all->pdata);
}

/* The outputs that begin so, as a list for people. */
static char *listed(const json_t *outputs, const char *prefix)
{
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        const char *one = json_string_value(json_array_get(outputs, i));
        if (g_str_has_prefix(one, prefix)) {
            add_word(text, ", ", one);
        }
    }
    return g_string_free(text, FALSE);
}

json_t *ready_step(const json_t *outputs)
{
    if (json_array_size(outputs) == 0) {
        return NULL;
    }
    g_autofree char *needs = needs_of(outputs), *wanted = wanted_drivers();
    g_autofree char *boxes = listed(outputs, BOX), *all = listed(outputs, "");
    g_autofree char *script =
        g_strdup_printf("needs='%s'\nwanted='%s'\nboxes='%s'\n%s", needs, wanted, boxes, ready_guest_sh);
    g_autofree char *name = g_strconcat("ready for ", all, NULL);
    return json_pack("{s:s, s:s, s:O, s:s, s:i, s:i}", "kind", "ready", "name", name, "outputs", outputs, "script",
                     script, "timeout", SECONDS, "max_age", 0);
}

gboolean ready_beyond_clouds(const json_t *outputs)
{
    gboolean beyond = FALSE;
    for (const ReadyOutput *row = ready_outputs; row->format != NULL; row++) {
        for (guint i = 0; ingot_json_has_text(outputs, row->format) && row->drivers[i] != NULL; i++) {
            beyond |= !g_strv_contains(ready_clouds, row->drivers[i]);
        }
    }
    return beyond;
}

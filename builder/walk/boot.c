#include "walk/boot.h"

#include <ingot/file.h>

#include "guest/entry.h"

gboolean boot_place_entry(const BuildHost *host, const char *workdir, const char *disk, const char *format,
                          GError **error)
{
    EntryDisk entry = {.disk = disk, .format = format, .workdir = workdir, .cache = host->cache};
    gboolean placed;
    return ingot_file_make_folder(host->cache, error) && entry_place(&entry, &placed, error);
}

/* The recipe's session, else root by the build's key. */
static GuestEntry entry_of(const Recipe *recipe, const GuestKey *key)
{
    RecipeSession session = recipe_session(recipe);
    if (!session.given) {
        return (GuestEntry){.key = key};
    }
    return (GuestEntry){
        .user = session.user, .password = session.password, .key_path = session.key_path, .sudo = session.sudo};
}

Guest *boot_connect(const BuildHost *host, const Recipe *recipe, const GuestKey *key, Machine *machine, GError **error)
{
    GuestEntry entry = entry_of(recipe, key);
    g_autoptr(Guest) guest = guest_connect(machine, &entry, LOGIN_SECONDS, error);
    gboolean booted;
    if (guest == NULL || !guest_wait_booted(guest, BOOT_SECONDS, &booted, error)) {
        return NULL;
    }
    if (!booted) {
        ingot_progress_message(host->progress,
                               "the machine's boot is not done after %u s (a unit may hang): the build goes on",
                               BOOT_SECONDS);
    }
    return g_steal_pointer(&guest);
}

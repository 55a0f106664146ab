#include "walk/boot.h"

#include "guest/entry.h"

gboolean boot_place_entry(const BuildHost *host, const char *workdir, const char *disk, const char *format,
                          GError **error)
{
    EntryDisk entry = {.disk = disk, .format = format, .workdir = workdir, .cache = host->cache};
    g_autofree char *why_not = NULL;
    if (!entry_place(&entry, &why_not, error)) {
        return FALSE;
    }
    if (why_not != NULL) {
        ingot_progress_message(host->progress, "the way into the machine is ssh alone: %s", why_not);
    }
    return TRUE;
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

static Guest *boot_connect(const BuildHost *host, const GuestEntry *entry, Machine *machine, GError **error)
{
    g_autoptr(Guest) guest = guest_connect(machine, entry, LOGIN_SECONDS, error);
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

gboolean boot_machine(const BuildHost *host, const Recipe *recipe, const GuestKey *key, BootStart start, gpointer user,
                      Booted *booted, GError **error)
{
    GuestEntry entry = entry_of(recipe, key);
    for (guint restarts = 0;; restarts++) {
        g_autoptr(GError) problem = NULL;
        g_autoptr(Machine) machine = start(user, error);
        if (machine == NULL) {
            return FALSE;
        }
        booted->guest = boot_connect(host, &entry, machine, &problem);
        if (booted->guest != NULL) {
            booted->machine = g_steal_pointer(&machine);
            return TRUE;
        }
        gboolean ended = FALSE;
        if (restarts == RESTARTS_MOST || !(machine_wait(machine, 1, &ended, NULL) && ended)) {
            g_propagate_error(error, g_steal_pointer(&problem));
            return FALSE;
        }
        ingot_progress_message(host->progress, "the machine restarted itself during its boot: it is booted again");
    }
}

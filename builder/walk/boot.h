/* One way to boot: the entry is put on the disk, the machine starts, and Ingot waits inside until its boot is done. */
#pragma once

#include "guest/guest.h"
#include "recipe/recipe.h"
#include "walk/host.h"

/* Puts the entry (guest/entry.h) on a disk that is about to boot: a layer that may be written, whose file systems need
 * no recovery. Where the entry does not fit, which is said, the machine is entered by ssh. */
gboolean boot_place_entry(const BuildHost *host, const char *workdir, const char *disk, const char *format,
                          GError **error);

/* Starts the machine: of its own folder each time. */
typedef Machine *(*BootStart)(gpointer user, GError **error);
typedef struct {
    Machine *machine;
    Guest *guest;
} Booted;
/* Starts a machine, gets in by the entry or by ssh as the recipe's session says, and waits until the boot is done; a
 * boot that takes longer than BOOT_SECONDS is not waited for further, which is said. A machine that restarts itself
 * while it boots (SELinux labels, cloud-init) is started again. Both are the caller's. */
gboolean boot_machine(const BuildHost *host, const Recipe *recipe, const GuestKey *key, BootStart start, gpointer user,
                      Booted *booted, GError **error);

#define LOGIN_SECONDS 600u /* a slow guest under emulation, first boot of a cloud image included */
#define BOOT_SECONDS 300u
#define RESTARTS_MOST 3u /* during one boot */

/* One way to boot: the entry is put on the disk, the machine starts, and Ingot waits inside until its boot is done. */
#pragma once

#include "guest/guest.h"
#include "recipe/recipe.h"
#include "walk/host.h"

/* Puts the entry (guest/entry.h) on a disk that is about to boot: a layer that may be written, whose file systems need
 * no recovery. A system that the entry does not run on is left alone: it is entered by ssh. */
gboolean boot_place_entry(const BuildHost *host, const char *workdir, const char *disk, const char *format,
                          GError **error);
/* Gets into a machine that has just started, by the entry or by ssh as the recipe's session says, and waits until its
 * boot is done; a boot that takes longer than BOOT_SECONDS is not waited for further, which is said. */
Guest *boot_connect(const BuildHost *host, const Recipe *recipe, const GuestKey *key, Machine *machine, GError **error);

#define LOGIN_SECONDS 600u /* a slow guest under emulation, first boot of a cloud image included */
#define BOOT_SECONDS 300u

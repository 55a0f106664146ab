/* What an image's config says of the machine that it wants to be, in the words of those who describe machines. */
#pragma once

#include <ingot/format.h>

/* The processors that it is for, as its config calls them; an image that does not tell is for amd64. The config's own.
 */
const char *guest_architecture(const IngotFormatInput *input);
/* Whether they are those that are called arm64. */
gboolean guest_is_arm(const IngotFormatInput *input);
/* For IngotFormat: INVALID where there is no machine of the formats that describe one for these processors. */
gboolean guest_can_machine(const IngotFormatInput *input, GError **error);
/* FALSE: it starts by UEFI alone, as all do that are for arm64. Another image that does not tell starts by BIOS. */
gboolean guest_boots_by_bios(const IngotFormatInput *input);
/* For IngotFormat: INVALID where the image boots by UEFI alone. */
gboolean guest_can_bios(const IngotFormatInput *input, GError **error);

typedef struct {
    const char *id;          /* of os-release, as in the config */
    guint cim;               /* CIM_OperatingSystem.OsType (DMTF): OVF's */
    const char *description; /* VirtualBox's name of it */
    const char *vmware;      /* guestOS in a .vmx */
} GuestSystem;
/* How the machine has the input's (first) disk: "virtio", "scsi", "sata", "ide", "nvme"; NULL: the image does not tell.
 * The config's own. */
const char *guest_bus(const IngotFormatInput *input);
/* The config's, or one that fits any Linux. */
const GuestSystem *guest_system(const IngotFormatInput *input);
/* The last part of the image's name: "web" of "team/web"; "disk" where it has none. Free it. */
char *guest_name(const IngotFormatInput *input);
/* A file's name that begins with the image's and ends so: "web.ovf". A name of more bytes than GUEST_FILE_MAX is cut to
 * that, so that each file fits into a tar and into a folder. Free it. */
#define GUEST_FILE_MAX 88u
char *guest_file(const IngotFormatInput *input, const char *ending);

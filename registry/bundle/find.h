/* Which files of a parcel are the disks of its machine, and what that machine is: by what describes it there. Nothing
 * described, several machines, or a disk that Ingot cannot take is INVALID, and named. */
#pragma once

#include "base/json.h"
#include "bundle/parcel.h"

typedef struct {
    char *name;         /* what errors call it: its file, or its id where it has none */
    GPtrArray *files;   /* of const ParcelMember: one; several that are it one after another; none: it is all zeros */
    guint64 piece;      /* bytes of each of several but the last */
    const char *packed; /* what its file is compressed with by itself ("gzip"), or NULL */
    const char *format; /* as ingot_blocks_probe calls it, where it is told; else NULL */
    const char *bus;    /* "ide", "scsi", "sata", "nvme", "virtio"; NULL: not told */
    guint64 capacity;   /* bytes; 0: not told */
} FoundDisk;

typedef struct {
    GArray *disks;            /* of FoundDisk, in the machine's order; at least one */
    GPtrArray *notes;         /* of char *: what is left out, for the one who asked */
    gboolean uefi, bios;      /* what the machine is said to boot by; neither: it is not told */
    const char *architecture; /* as architecture_word calls it; NULL: not told */
    const char *provider;     /* of a box, as this room calls it: "virtualbox", ...; else NULL */
    char *vagrantfile, *info; /* of a box; or NULL */
} Found;

Found *found_new(void);
void found_free(Found *found);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Found, found_free)
/* A disk in that file (NULL: in none yet), at the end of the list; it stays the list's, up to the next one. */
FoundDisk *found_add(Found *found, const char *name, const ParcelMember *file);

/* Whatever the parcel is: a Vagrant box, an OVA, a machine of VMware's, Hyper-V's or UTM's. */
Found *find_machine(const Parcel *parcel, GError **error);

/* An OVA, or the *.ovf in a box. */
gboolean find_in_ovf(const Parcel *parcel, const ParcelMember *descriptor, Found *found, GError **error);
/* The machine of a *.vmx. */
gboolean find_in_vmx(const Parcel *parcel, const ParcelMember *machine, Found *found, GError **error);
/* The machine that Hyper-V exported. */
gboolean find_in_hyperv(const Parcel *parcel, Found *found, GError **error);
/* The machine of UTM's whose config.plist it is. */
gboolean find_in_utm(const Parcel *parcel, const ParcelMember *config, Found *found, GError **error);
/* A Vagrant box, by its metadata.json. */
gboolean find_in_box(const Parcel *parcel, const ParcelMember *metadata, Found *found, GError **error);

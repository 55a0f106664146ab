/* What both kinds of a parcel, the archive and the folder, share: how a member is named, counted and read. */
#pragma once

#include "bundle/parcel.h"

Parcel *members_new(const char *path, const char *name, gboolean folder);
/* Whether a path leads outside of where it is. */
gboolean members_lead_outside(const char *name);
/* A member's name as it is compared; NULL with an error for one that no honest parcel has. Free it. */
char *members_read_name(const Parcel *parcel, const char *name, GError **error);
/* Adds one (its name is taken); INVALID where there are too many. */
ParcelMember *members_add(Parcel *parcel, char *name, GError **error);

/* Gives the next bytes of a member: 0 at its end, -1 on an error, which it sets. */
typedef gssize (*MembersRead)(gpointer source, void *buffer, gsize size, GError **error);
/* The text of a member that describes; nothing for others. */
gboolean members_read_text(Parcel *parcel, ParcelMember *member, MembersRead read, gpointer source, GError **error);
/* The text of a member that is known to be a descriptor, whatever it is called. */
gboolean members_read_descriptor(Parcel *parcel, ParcelMember *member, MembersRead read, gpointer source,
                                 GError **error);
/* All bytes of the member, for all who want it. */
gboolean members_take(const Parcel *parcel, const ParcelMember *member, MembersRead read, gpointer source,
                      const ParcelTake *takes, guint count, IngotProgress *progress, GError **error);
gboolean members_wanted(const ParcelMember *member, const ParcelTake *takes, guint count);

/* The two kinds' own: go through it and take what is wanted, or look for a name that was not listed. */
gboolean archive_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                      GError **error);
gboolean folder_take(const Parcel *parcel, const ParcelTake *takes, guint count, IngotProgress *progress,
                     GError **error);
const ParcelMember *folder_find(const Parcel *parcel, const char *name);

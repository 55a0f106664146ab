/* What a repository says of an image to whoever asks for it: whether it is withheld, and the words for it.
 *
 * An image of which was said that it is disabled or revoked is withheld: it is not given to clients that do not ask for
 * it all the same, does not become what a channel names, and is in no list for Vagrant. One that is deprecated, or
 * stands on a base that is not active, is given with a warning. */
#pragma once

#include "server/channel/state.h"
#include "server/storage/storage.h"

typedef struct {
    gboolean withheld;
    char *why;  /* "team/web@sha256:… is revoked by alice, …": of the image, else of a base; NULL: it is active */
    char *said; /* the header LIFECYCLE_HEADER; NULL: none */
    char *base; /* the header LIFECYCLE_BASE_HEADER; NULL: none */
    char *warning; /* the header Warning, as distribution-spec has it ("Warnings"); NULL: none */
} Announcement;
void announcement_clear(Announcement *announcement);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Announcement, announcement_clear)

/* Whether whoever asks may know of a repository. */
typedef gboolean (*AnnounceSees)(const char *name, gconstpointer user);
/* states: as storage_states gives it, or NULL. Of what is said of the image, or of a base, in another repository which
 * `sees` denies, there is no name of that, reason or user in it. Pure. */
void announce(const json_t *states, const char *name, const IngotDigest *image, gint64 now, AnnounceSees sees,
              gconstpointer user, Announcement *announcement);

/* The word that counts of the image: as it was said, with the "name" of its repository and its "digest", and with
 * "where", the name of another one that has said it everywhere. NULL: none, it is active. sees: as above; NULL: it
 * denies all. Pure. */
json_t *state_word(const json_t *states, const char *name, const IngotDigest *image, gint64 now, AnnounceSees sees,
                   gconstpointer user);

/* Whether the image is withheld: *why (free it) says so then, with what its own repository says of it alone, else it is
 * NULL. FALSE may be an error. */
gboolean state_stands_in_the_way(Storage *storage, const char *name, const IngotDigest *image, char **why,
                                 GError **error);
/* The same of what a channel is to name: of an index, all that it has count as well, since machines that follow the
 * channel are given one of them. several: those, of an index that is not here yet; NULL: the manifest is read. */
gboolean state_keeps_from_channels(Storage *storage, const char *name, const IngotDigest *image, const GArray *several,
                                   char **why, GError **error);
/* *mark: what marks a channel that names the image, in a few words: that it, a base of it, or of an index one of the
 * first MARKED_MOST that it has or a base of that, is not active (free it). NULL: nothing does. sees: as above. */
#define MARKED_MOST 256u
gboolean state_mark(Storage *storage, const char *name, const IngotDigest *image, AnnounceSees sees, gconstpointer user,
                    char **mark, GError **error);

/* Says one thing more of an image of the repository (image/lifecycle.h). Of two at once, in whichever processes, none
 * is lost. */
gboolean state_say(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *image,
                   const json_t *said, GError **error);
/* Takes over what another registry says of it now (NULL: nothing), beside what was said here. */
gboolean state_hear(Storage *storage, const StorageActor *actor, const char *name, const IngotDigest *image,
                    const json_t *there, GError **error);

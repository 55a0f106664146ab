/* The inside of a guest session that the files of this room share: one channel to one root shell, and the framing of
 * what passes over it.
 *
 * Invariant: the host always knows whose bytes it reads. Each exchange has a random word: its output begins behind a
 * line with that word and ends at a line with the word and a status. No program of a step holds the channel (its output
 * goes through a pipe), so none can write a word, and what an earlier step still prints is not seen. Whatever comes
 * outside of an exchange is dropped. A session that has lost its place (a limit passed, an interrupt, half an upload)
 * is lost for good: every later use says so. */
#pragma once

#include "guest/guest.h"
#include "guest/guestchannel.h"

/* What the commands of an operating system look like. One kind of guest is one file and one table. */
typedef struct {
    /* What a new session's shell is told first, and after each reconnection; its output is dropped. Free it. */
    char *(*prepare)(const Guest *guest);
    gboolean (*run)(Guest *guest, const GuestCommand *command, int *status, GError **error);
    gboolean (*script)(Guest *guest, const char *script, guint seconds, char **output, GError **error);
    gboolean (*put)(Guest *guest, const char *script, int fd, guint64 size, const char *name, GError **error);
    gboolean (*get)(Guest *guest, const char *from, const char *to, GPtrArray *written, GuestLineFunc line,
                    gpointer user, GError **error);
    gboolean (*settle)(Guest *guest, GuestSettle how, gboolean *settled, GError **error);
    gboolean (*adopt)(Guest *guest, const GuestKey *key, guint64 away, gboolean *stopping, GError **error);
} GuestSystem;
extern const GuestSystem guest_linux;

struct Guest {
    Machine *machine; /* NULL: the guest is not a machine of ours */
    GuestChannel *channel;
    const GuestSystem *system;
    GuestAliveFunc alive; /* asked while the guest says nothing; may be NULL */
    gpointer alive_user;
    char *place;         /* the guest's folder for scripts and notes */
    guint stall_seconds; /* for which a guest may take or give nothing in the middle of a copy */
    GString *input;      /* what has come and is not used yet */
    char *lost;          /* why the session is out of step, or NULL */
    guint number;        /* of the next script */
    gboolean saw_password;
};

/* A pair of random words; the shell joins them, so that an echo of what it was sent is not taken for its answer. */
typedef struct {
    char first[17], second[17];
    char joined[33];
} SessionWord;
SessionWord session_word(void);

/* Takes the bytes of an exchange as they come. FALSE with an error gives the session up. */
typedef gboolean (*SessionSink)(const char *data, gsize size, gpointer user, GError **error);

/* FALSE with an error where the session is lost. */
gboolean session_usable(const Guest *guest, GError **error);
/* Marks the session as lost and sets the error, with the last lines of the console; always FALSE. */
gboolean session_lose(Guest *guest, GError **error, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Sends all of data. */
gboolean session_send(Guest *guest, const void *data, gsize size, GError **error);
#define SESSION_STALL 0 /* in place of a time: until the guest has given nothing for its stall_seconds */
/* The output of the exchange with this word, until its end or the time (monotonic, microseconds). *status is what
 * stands behind the word: "0", or a word of the system's own; free it. */
gboolean session_take(Guest *guest, const SessionWord *word, gint64 until, SessionSink sink, gpointer user,
                      char **status, GError **error);
/* The time so many seconds from now. */
gint64 session_until(guint64 seconds);

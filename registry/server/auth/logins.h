/* Logging in by password, which is dear: a few threads check, which hold up no request, and those that were right are
 * remembered for a minute.
 *
 * What is remembered is a keyed hash of name, password and the stored hash: another password makes it worthless at
 * once. After a wrong password the next one of that user waits (throttle.h), a right one too: else a quick answer would
 * tell a guesser that it was right. At most LOGINS_WAITING wait to be checked; networks take turns, and beyond that the
 * network with the most is turned away. Thread safe. */
#pragma once

#include "server/auth/throttle.h"

#define LOGINS_WAITING 128

typedef struct Logins Logins;
/* The throttle stays the caller's. threads: that check; each takes 64 MiB while it does. */
/* NULL: the system gives it no threads, or no random numbers. */
Logins *logins_new(Throttle *throttle, guint threads, GError **error);
/* Ends the running checks; those that wait, and those that come, are given up as BUSY. */
void logins_stop(Logins *logins);
void logins_free(Logins *logins);

typedef enum {
    LOGIN_RIGHT,
    LOGIN_WRONG,
    LOGIN_TOO_SOON, /* its user must wait */
    LOGIN_BUSY,     /* turned away: too many wait */
    LOGIN_UNKNOWN,
} LoginVerdict;
/* From memory: LOGIN_UNKNOWN where it must be checked. hash NULL: there is no such user. */
LoginVerdict logins_recall(Logins *logins, guint64 network, const char *user, const char *password, const char *hash);
/* Checks; done is called once with the verdict (never LOGIN_UNKNOWN), from any thread. */
typedef void (*LoginDone)(LoginVerdict verdict, gpointer data);
void logins_check(Logins *logins, guint64 network, const char *user, const char *password, const char *hash,
                  LoginDone done, gpointer data);

/* Logging in by password, which is dear: one check at a time, by a thread that holds up no request, and those that were
 * right are remembered for a minute.
 *
 * What is remembered is a keyed hash of name, password and the stored hash: another password makes it worthless at
 * once. An address that has failed waits (throttle.h) before its next password is looked at, a right one too: else a
 * quick answer would tell a guesser that it was right. Thread safe. */
#pragma once

#include "server/auth/throttle.h"

typedef struct Logins Logins;
/* The throttle stays the caller's. */
Logins *logins_new(Throttle *throttle);
/* Ends the running check; those that wait, and those that come, are given up as WRONG. */
void logins_stop(Logins *logins);
void logins_free(Logins *logins);

typedef enum { LOGIN_RIGHT, LOGIN_WRONG, LOGIN_TOO_SOON, LOGIN_UNKNOWN } LoginVerdict;
/* From memory: LOGIN_UNKNOWN where it must be checked. hash NULL: there is no such user. */
LoginVerdict logins_recall(Logins *logins, const char *address, const char *user, const char *password,
                           const char *hash);
/* Checks; done is called with the verdict from another thread. */
typedef void (*LoginDone)(LoginVerdict verdict, gpointer data);
void logins_check(Logins *logins, const char *address, const char *user, const char *password, const char *hash,
                  LoginDone done, gpointer data);

/* Addresses that have failed to log in wait: a second, then twice as long each time, a minute at most.
 *
 * Success, or some minutes without a failure, clears the slate. At most THROTTLE_MAX addresses are known; beyond, those
 * whose wait ends first are forgotten. An IPv6 address counts as its network (/64), since one host has all of that.
 * Thread safe. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

#define THROTTLE_MAX 4096

typedef struct Throttle Throttle;
Throttle *throttle_new(void);
void throttle_free(Throttle *throttle);

/* What an address counts as; free it. NULL gives "-". */
char *throttle_key(const struct sockaddr *address);
/* Seconds that are left to wait (0: none). now: monotonic, microseconds. */
guint throttle_wait(Throttle *throttle, const char *key, gint64 now);
void throttle_fail(Throttle *throttle, const char *key, gint64 now);
void throttle_clear(Throttle *throttle, const char *key);
/* Addresses that are known. */
guint throttle_size(Throttle *throttle);

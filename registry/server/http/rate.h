/* How many requests an address may make: a bucket of tokens for each, which fills at a steady rate.
 *
 * Invariant: memory is bounded, whoever asks. The addresses that asked last are remembered; one that is forgotten
 * begins with a full bucket. Addresses of one network count as one (network.h). Thread safe. */
#pragma once

#include <glib.h>
#include <sys/socket.h>

#define RATE_ADDRESSES 32768 /* that are remembered */

typedef struct Rate Rate;
/* per_second > 0; burst: the size of a bucket, at least 1. */
Rate *rate_new(guint per_second, double burst);
void rate_free(Rate *rate);

/* Takes a token; FALSE: there is none, but within a second there will be. now: monotonic, in microseconds. address:
 * IPv4 or IPv6. */
gboolean rate_take(Rate *rate, const struct sockaddr *address, gint64 now);
/* Requests that got none. */
guint64 rate_refused(Rate *rate);

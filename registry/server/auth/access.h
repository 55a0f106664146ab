/* Who may do what: each request goes through the door (door.h) before anything else is done with it, and asks
 * access_may before it touches a repository.
 *
 * Users, passwords, tokens and rights are read from users.sqlite at each request, so a change counts at once. Without
 * users everybody may do everything, and then only a loopback address is served. Refusals say nothing of what there is:
 * 401 UNAUTHORIZED to those who have not logged in, 403 DENIED to those who have. Where users.sqlite cannot be read,
 * nothing is allowed. Thread safe. */
#pragma once

#include "server/auth/logins.h"
#include "server/auth/scopes.h"
#include "server/auth/users.h"
#include "server/http/request.h"

typedef struct Access {
    Accounts *accounts;
    Throttle *throttle;
    Logins *logins;
    guint anonymous; /* AccessRight, or-ed */
    guint token_life;
    gboolean tls, loopback;
} Access;
/* anonymous: what those may do who do not log in, once there are users: ACCESS_PULL or 0. token_life: of access tokens,
 * in seconds. */
Access *access_new(const char *data, guint anonymous, gboolean tls, guint token_life, GError **error);
void access_free(Access *access);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Access, access_free)
/* Whether this address may be served: INVALID where others could reach what has no users. Warns of passwords that go in
 * the clear. */
gboolean access_check_address(Access *access, gboolean loopback, const char *address, GError **error);
/* Lets no request wait any longer: each that does is answered. */
void access_stop(Access *access);

/* Whether the caller has a right on a repository's name; the rights (AccessRight, or-ed) there. */
gboolean access_may(const Request *request, AccessRight right, const char *name);
guint access_rights(const Request *request, const char *name);
/* Whether the caller may know of a repository (a Request): it may pull from it, with this access token or another. */
gboolean access_sees(const char *name, gconstpointer request);
/* Whether the caller has one of these rights (or-ed) on every name, with this access token or another. */
gboolean access_may_everywhere(const Request *request, guint rights);
/* Whether whoever does not log in has that right, on every name. */
gboolean access_may_anybody(const Request *request, AccessRight right);
/* The Cache-Control of what never changes, once the caller may pull it: only what anybody may pull is kept by a cache
 * that many share. A URL with a pass in it shows no login, so a cache can't know by itself. */
const char *access_keep(const Request *request);
/* The Cache-Control of what may change, by the same rule: whoever keeps it asks again before each use. */
const char *access_keep_asking(const Request *request);
/* Whether all may do all, since there are no users. */
gboolean access_may_all(const Request *request);
/* Whether it has logged in (or need not), whether it may list repositories, and whether one is in its list. */
gboolean access_is_known(const Request *request);
/* Whether it has logged in as a user, or there are none. */
gboolean access_is_somebody(const Request *request);
gboolean access_may_list(const Request *request);
gboolean access_lists(const Request *request, const char *name);
/* Answers to whom lacks all of these rights on a name (name NULL: on the list). */
enum MHD_Result access_refuse(Request *request, const char *name, guint rights);

/* Where the client finds us: "https://HOST"; NULL where its Host header is none. Free it. */
char *access_base(const Request *request);

/* The user's name for the log, or "-". It belongs to the request. */
const char *access_user(const Request *request);

/* An error with its challenges, or with the seconds that are to be waited. */
enum MHD_Result access_unauthorized(Request *request, const char *scope, const char *error, const char *message);
/* What was shown is not, or no longer, valid; the challenge says what to ask for instead. */
enum MHD_Result access_invalid_token(Request *request, const char *message);
enum MHD_Result access_too_soon(Request *request, const char *user);
enum MHD_Result access_busy(Request *request);

/* One HTTP exchange by libcurl, with bounded waits and errors that say what was tried. */
#pragma once

#include <curl/curl.h>
#include <ingot/progress.h>
#include <ingot/remote.h>

#include "image/lifecycle.h"
#include "remote/auth.h"
#include "remote/patience.h"
#include "remote/plain.h"
#include "remote/relay.h"

struct IngotRemote {
    char *host, *base; /* base: "http://127.0.0.1:5000" */
    IngotRemoteOptions *options;
    CURL *curl; /* kept, so that connections are */
    CURLM *multi;
    RemoteAuth *auth;
    guint connect, stall; /* seconds that connecting, and a transfer that moves nothing, may take; 0: as everywhere */
    guint silence; /* seconds for which a transfer may move nothing all the same; set while one runs that needs it */
    char *called;  /* what the registry calls the digest `called_for`; NULL: nothing is called otherwise */
    IngotDigest called_for;
    gboolean (*goes_on)(gpointer user, GError **error); /* NULL: whatever is asked for is wanted */
    gpointer goes_on_user;
    guint patience;           /* seconds that a request may wait for a registry that answers 429 or 503 */
    IngotRemoteEnd ended;     /* the last request */
    json_t *said, *base_said; /* of the manifest that was asked for last (image/lifecycle.h); NULL: nothing */
    gboolean phased;          /* likewise: it goes out to hosts in phases */
    char *uploads;            /* folder of notes (uploadnotes.h); NULL: none are kept */
};

typedef struct {
    const char *method;
    char *url;                  /* absolute */
    const char *const *headers; /* to send, NULL-terminated; may be NULL */
    const void *body;           /* to send; NULL: none */
    gsize body_size;
    int upload_fd;                   /* sent from there instead, where upload_size > 0 */
    guint64 upload_size;             /* of all its ranges together */
    const IngotRange *upload_ranges; /* in order */
    guint upload_range;              /* the one that is being sent, and how much of it has been */
    guint64 upload_within;
    Patience *patience; /* for the upload with others of its kind; NULL: its own */
    gboolean
        begin_anew; /* the registry wants it later, and may have kept all or a part of it: nothing is sent twice here */
    IngotProgress *progress; /* of the upload */
    guint silence;           /* seconds for which nothing may move, if that is longer than what is set for all */
    gboolean fresh;          /* by a new connection: where a kept one breaks off, libcurl sends it again unasked */
    gsize limit;             /* of the answer's body, bytes */
    gboolean too_large;      /* it had more */
    gboolean bare;           /* to no registry, but to where its tokens come from: shows login (NULL: nothing) alone */
    const IngotCredentials *login;
    guint64 before;            /* of the upload: bytes that were sent earlier, by other requests */
    guint64 position, counted; /* bytes sent, those included; bytes told to progress, which no second try adds to */

    const char *login_as; /* the method that the login is for; NULL: its own */
    CURLcode code;        /* with which the transfer ended; a body that stands still for too long is broken off */
    gboolean lost;        /* the answer to an earlier try never came, or said that the registry failed: it may have
                             done what it was asked for */
    char *moved;          /* where a redirection of what has a body has led; NULL: nowhere */
    long status;          /* of the answer */
    char *answered;       /* where it is from: the URL, or where a redirection led to */
    GByteArray *answer;
    GHashTable *answer_headers; /* lower-case name -> value; of www-authenticate all, a line each, and of link */
} HttpExchange;

void http_exchange_clear(HttpExchange *exchange);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HttpExchange, http_exchange_clear)

/* Logs in where that is asked for (auth.h), and is repeated as the remote's patience allows. Of a body that is read
 * from a file no byte is sent twice: begin_anew says that some went out, and that the wait is over. Follows
 * redirections: with a body as a registry's Location may lead (location.h), with an identity token nowhere. FALSE only
 * if there was no answer, or no login; a status of 400 and above is the caller's affair. */
gboolean http_exchange(IngotRemote *remote, HttpExchange *exchange, GError **error);
/* Whether a registry of Ingot's has all of the upload and hashes it: it is to be ended again by a request without a
 * body. No patience is taken for that answer: it may be so for long. */
gboolean http_still_hashes(const HttpExchange *exchange);
/* Waits as long (microseconds) as a registry asks for; FALSE, within a moment: as http_goes_on. */
gboolean http_wait(const IngotRemote *remote, gint64 usec, GError **error);
/* Sets the error that fits a status that was not hoped for; always FALSE. */
gboolean http_refused(IngotRemote *remote, const HttpExchange *exchange, GError **error);
/* Notes the status with which a request of a URL of the registry's ended, in that handle. */
void http_note_status(IngotRemote *remote, CURL *curl, const char *method, const char *url, long status);
/* Seconds that something may take: the options' timeout, or the standard. */
long http_seconds(const IngotRemoteOptions *options, long standard);
/* Seconds for which a transfer with that registry may move nothing. */
guint http_stall(const IngotRemote *remote);
/* FALSE (INVALID): the file of certificates is not there, or the timeout is not a duration. */
gboolean http_check_settings(const IngotRemoteOptions *options, GError **error);
/* The position at which a Content-Range header begins. FALSE: the line is another header. */
gboolean http_content_range(const char *line, guint64 *first);
/* Sets the options that all transfers share: time-outs, no signals, the user agent, which hosts are
 * asked by a proxy (bypass.h). */
void http_prepare(CURL *curl, const char *url, const IngotRemoteOptions *options);
/* Those of one registry's own, after the former. */
void http_limit(CURL *curl, const IngotRemote *remote);
/* Both, and what a GET needs whose bytes are taken as they come: user gets the answer's header lines and its bytes.
 * login: the registry's own is shown. */
typedef size_t (*HttpTake)(char *data, size_t size, size_t count, void *user);
void http_prepare_get(CURL *curl, IngotRemote *remote, const char *url, gboolean login, HttpTake on_header,
                      HttpTake on_data, gpointer user);
/* FALSE: a signal came, or what is asked for is not wanted any more. */
gboolean http_goes_on(const IngotRemote *remote, GError **error);
/* Shows name and password to the URL's host, and to no other. */
void http_basic(CURL *curl, const IngotCredentials *login);
/* Sets the error for a curl code of that transfer, and notes it; always FALSE. */
gboolean http_failed(IngotRemote *remote, CURL *curl, CURLcode code, const char *url, GError **error);
const char *http_header(const HttpExchange *exchange, const char *name);
/* BASE/v2/NAME/KIND/REFERENCE; free it. */
char *http_api_url(const IngotRemote *remote, const char *name, const char *kind, const char *reference);
/* The same of a digest, by what the registry calls it. */
char *http_digest_url(const IngotRemote *remote, const char *name, const char *kind, const IngotDigest *digest);
/* Where one of the answer's headers leads (free it), and the next page of a list, as location.h has it. */
char *http_location(const IngotRemote *remote, const HttpExchange *exchange, const char *text, GError **error);
gboolean http_next_page(const IngotRemote *remote, const HttpExchange *exchange, char **next, GError **error);

/* What is attached to an image, as gates judge it: in-toto statements, as they are or signed, signatures, and package
 * lists. All of it comes from whoever may push, so that what is no evidence never counts, and size and number
 * are bounded: of each document, of their sum, and of memory. What is damaged, or not here, is an error: it may say
 * that a test has failed. A gate is given one document after another and keeps only what its verdict needs; the process
 * holds one at a time, however many promotions run. Where a gate is given keys, only what one of them has signed
 * counts. */
#pragma once

#include "evidence/statement.h"
#include "server/channel/gate.h"
#include "trust/bundle.h"

#define EVIDENCE_BUDGET (64u << 20) /* bytes that a gate reads */
#define EVIDENCE_MOST 500u          /* attachments of one kind at one image, likewise */

typedef struct {
    IngotDigest attachment;
    const Statement *statement;    /* NULL: a signature of the manifest itself, or a package list as it is */
    GBytes *document;              /* the package list; else NULL */
    guint key;                     /* which of the keys has signed it, if no identity has; 0 where none are given */
    const TrustIdentity *identity; /* the one that has signed it; NULL: a key has, or none are given */
} Evidence;

/* Is given what counts, which is there during the call alone. Must not read evidence itself. */
typedef void (*EvidenceFunc)(const Evidence *one, gpointer user);

/* What one gate has read. Begins as {0}. */
typedef struct {
    guint64 bytes;
    guint refused; /* so many are attached and don't count … */
    GString *told; /* … of which the first, and why */
} EvidenceReading;
void evidence_reading_clear(EvidenceReading *reading);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EvidenceReading, evidence_reading_clear)

#define EVIDENCE_PACKAGES "https://spdx.dev/Document/" /* of any version of SPDX */

/* Statements about the image whose predicate is of that type; where it ends in a slash, of any version of it. keys: of
 * TrustKey *; NULL: signed or not. LIMIT: there is more than a gate reads; other errors: something attached can't be
 * read. */
gboolean evidence_statements(const GateCase *its, const char *type, const GPtrArray *keys, EvidenceReading *reading,
                             EvidenceFunc func, gpointer user, GError **error);
/* The same of what one of these has signed. */
gboolean evidence_signed(const GateCase *its, const char *type, const TrustSigners *signers, EvidenceReading *reading,
                         EvidenceFunc func, gpointer user, GError **error);
/* Package lists that are attached as they are, without a signature; errors likewise. */
gboolean evidence_packages(const GateCase *its, EvidenceReading *reading, EvidenceFunc func, gpointer user,
                           GError **error);
/* Seconds since 1970 of an RFC 3339 text (may be NULL); 0: it is none. */
gint64 evidence_time(const char *text);
/* What would satisfy a gate with keys that finds none signed by them; what: "provenance", say. Free it. */
char *evidence_sign(const GateCase *its, const char *what);
/* "; 2 attached here do not count: …", or "". Free it. */
char *evidence_refusals(const EvidenceReading *reading);

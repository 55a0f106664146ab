/* What is attached to an image, as gates judge it: in-toto statements, as they are or signed, signatures, and package
 * lists. All of it comes from whoever may push, so that its size and number are bounded, and what can't be read never
 * counts. Where a gate is given keys, only what one of them has signed counts. */
#pragma once

#include "evidence/statement.h"
#include "server/channel/gate.h"

typedef struct {
    Statement *statement; /* NULL: a signature of the manifest itself, or a package list as it is */
    GBytes *document;     /* the package list; else NULL */
    guint key;            /* which of the keys has signed it; 0 where none are given */
} Evidence;

typedef struct {
    GPtrArray *found;   /* of Evidence * */
    GPtrArray *refused; /* of char *: what is attached and does not count, and why */
} EvidenceList;
void evidence_list_clear(EvidenceList *list);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EvidenceList, evidence_list_clear)

#define EVIDENCE_PACKAGES "https://spdx.dev/Document" /* predicates' types begin so */

/* Statements about the image whose predicate's type begins so. keys: of TrustKey *; NULL: signed or not. */
gboolean evidence_statements(const GateCase *its, const char *type, const GPtrArray *keys, EvidenceList *list,
                             GError **error);
/* Package lists that are attached as they are, without a signature. */
gboolean evidence_packages(const GateCase *its, EvidenceList *list, GError **error);
/* Seconds since 1970 of an RFC 3339 text (may be NULL); 0: it is none. */
gint64 evidence_time(const char *text);
/* "; 2 attached here do not count: …", or "". Free it. */
char *evidence_refusals(const EvidenceList *list);

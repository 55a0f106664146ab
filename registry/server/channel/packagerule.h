/* A rule about packages: a name, and which versions of it are meant: "telnetd", "openssl<3.0.17". Versions are compared
 * as dpkg does it (deb-version(7)), by its own library; those of other kinds of packages are only told apart. Pure
 * functions. */
#pragma once

#include <glib.h>

typedef enum { RULE_ANY, RULE_LESS, RULE_LESS_OR_EQUAL, RULE_EQUAL, RULE_GREATER_OR_EQUAL, RULE_GREATER } RuleRelation;
typedef struct {
    char *name, *version; /* version NULL: any */
    RuleRelation relation;
} PackageRule;
void package_rule_clear(PackageRule *rule);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PackageRule, package_rule_clear)
/* FALSE: it is none; *rule is empty before. */
gboolean package_rule_parse(const char *text, PackageRule *rule);

typedef enum {
    PACKAGE_PASSES,
    PACKAGE_IS_MEANT,
    PACKAGE_UNKNOWN, /* its version can't be compared with the rule's */
} PackageMatch;
/* Of a package of that name; kind: "deb", "rpm", … (NULL: not known). */
PackageMatch package_rule_fits(const PackageRule *rule, const char *version, const char *kind);

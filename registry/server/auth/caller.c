#include "server/auth/caller.h"

void caller_free(Caller *caller)
{
    if (caller != NULL) {
        g_free(caller->user);
        g_strfreev(caller->scopes);
        g_free(caller->token);
        g_strfreev(caller->narrow);
        grant_free(caller->grant);
        g_free(caller->claimed_name);
        user_free(caller->claimed);
        g_free(caller);
    }
}

guint caller_rights_beyond(const Caller *caller, guint anonymous, const char *name)
{
    if (caller->kind == CALLER_EVERYBODY) {
        return ACCESS_ALL;
    }
    guint rights = 0;
    if (caller->kind == CALLER_USER) {
        rights = scopes_rights((const char *const *)caller->scopes, name);
    }
    if (caller->kind == CALLER_USER && caller->token != NULL) {
        rights &= scopes_rights((const char *const *)caller->narrow, name);
    }
    return rights | anonymous;
}

guint caller_rights(const Caller *caller, guint anonymous, const char *name)
{
    guint rights = caller_rights_beyond(caller, anonymous, name);
    if (caller->grant != NULL && !caller->grant->whole) {
        rights &= GPOINTER_TO_UINT(g_hash_table_lookup(caller->grant->rights, name));
    }
    return rights;
}

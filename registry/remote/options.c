#include <ingot/options.h>

#include "base/prompt.h"

IngotRemoteOptions *ingot_remote_options_copy(const IngotRemoteOptions *options)
{
    static const IngotRemoteOptions usual = {0};
    const IngotRemoteOptions *from = options == NULL ? &usual : options;
    IngotRemoteOptions *copy = g_new0(IngotRemoteOptions, 1);
    *copy = (IngotRemoteOptions){.ca = g_strdup(from->ca),
                                 .plain_http = g_strdup(from->plain_http),
                                 .tokens = g_strdup(from->tokens),
                                 .token_host = g_strdup(from->token_host),
                                 .logins = (const char *const *)g_strdupv((char **)from->logins),
                                 .docker_logins = g_strdup(from->docker_logins),
                                 .timeout = g_strdup(from->timeout),
                                 .http_proxy = g_strdup(from->http_proxy),
                                 .https_proxy = g_strdup(from->https_proxy),
                                 .no_proxy = g_strdup(from->no_proxy),
                                 .proxy_variables = from->proxy_variables,
                                 .allow_revoked = from->allow_revoked,
                                 .policy = g_strdup(from->policy),
                                 .architecture = g_strdup(from->architecture)};
    return copy;
}

void ingot_remote_options_free(IngotRemoteOptions *options)
{
    if (options != NULL) {
        ingot_secret_free((char *)options->tokens);
        g_free((char *)options->ca);
        g_free((char *)options->plain_http);
        g_free((char *)options->token_host);
        g_strfreev((char **)options->logins);
        g_free((char *)options->docker_logins);
        g_free((char *)options->timeout);
        g_free((char *)options->http_proxy);
        g_free((char *)options->https_proxy);
        g_free((char *)options->no_proxy);
        g_free((char *)options->policy);
        g_free((char *)options->architecture);
        g_free(options);
    }
}

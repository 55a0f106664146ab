/* Proxies: how a guest reaches the network where this host does so through a proxy.
 *
 * The settings are for the time of the build alone: they are in the environment of steps, never in the image, and in no
 * stage's key, since what a step downloads does not depend on the way that it comes. */
#pragma once

#include "recipe/recipe.h"

#define PROXY_HOST "10.0.2.2"            /* this host, as a guest sees it in QEMU's user network */
#define PROXY_HOST_OFFLINE "169.254.2.2" /* and as libguestfs's appliance does */

/* "NAME=VALUE" for http_proxy, https_proxy, ftp_proxy, all_proxy and no_proxy as this process has them, in lower and
 * upper case, NULL-terminated; nothing where the recipe says `proxy: off`. A proxy on a loopback address of this host
 * becomes one on `host`. A name and password in a proxy's URL are masked from now on. Free with g_strfreev. */
char **proxy_environment(const Recipe *recipe, const char *host);
/* Whether a proxy of such an environment has a name or password in its URL. */
gboolean proxy_has_login(const char *const *environment);

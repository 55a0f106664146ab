/* What a request shows of who asks: its Authorization header, or, at the doors that Vagrant's clients come to
 * (Route.vagrant), a token in one of their ways: the header X-Atlas-Token, or ?access_token= in the URL. There a token
 * may also be several between semicolons, as VAGRANT_CLOUD_TOKEN is for those who had one of HCP's too: ours counts. */
#pragma once

#include "server/auth/authorization.h"
#include "server/http/request.h"

/* *shown is to be cleared. */
void shown_read(const Request *request, Authorization *shown);

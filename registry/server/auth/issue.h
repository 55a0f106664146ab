/* Access tokens. An access token gets no other one, so that each ends.
 *
 * GET /token: an access token for what was asked (?scope=, repeated or with spaces between) as far as the caller may
 * have it: no more than asked, no more than allowed.
 *
 * POST /oauth2/token, as HCP has it (RFC 6749, section 4.4): the client shows its id and secret by HTTP Basic, here a
 * user's name with a token or a password, and gets one for all that these may. */
#pragma once

#include "server/http/request.h"

enum MHD_Result issue_token(Request *request);

extern const Route issue_routes[];

/* GET /token: an access token for what was asked (?scope=, repeated or with spaces between) as far as the caller may
 * have it: no more than asked, no more than allowed. An access token gets no other one, so that each ends. */
#pragma once

#include "server/http/request.h"

enum MHD_Result issue_token(Request *request);

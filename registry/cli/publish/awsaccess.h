/* Where S3 is, and who asks it, as Amazon's own tools find it: in the environment ($AWS_ACCESS_KEY_ID,
 * $AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN; $AWS_REGION or $AWS_DEFAULT_REGION; $AWS_ENDPOINT_URL_S3 or
 * $AWS_ENDPOINT_URL), else in the profile that $AWS_PROFILE names ("default") of the shared files
 * ($AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, $AWS_CONFIG_FILE or ~/.aws/config). */
#pragma once

#include "cli/publish/s3.h"

/* INVALID: no login is found, or half of one, or a file can't be read. */
gboolean aws_access_find(S3Access *access, GError **error);

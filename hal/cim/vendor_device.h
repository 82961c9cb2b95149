// The vendor's on-premises terminal (qboson+http://, qboson+https://) through libcurl. A job takes
// seconds. It logs in, uploads the matrix as CSV, submits exactly once, polls with growing pauses,
// fetches the answer and deletes the job. Only a part of the vendor's interface is public;
// hal/emulator/http_terminal.cpp lists what is assumed.
//
//   qboson+http://HOST:PORT?user=NAME&password_file=FILE
//     [&machine_id=ID][&ancillas=N][&timeout_ms=N][&insecure_permissions=1]
//
// The password comes from the file's first line or the environment variable QAMA_QBOSON_PASSWORD.
// Neither it nor a token ever enters a message. Plain HTTP is refused off loopback.
#pragma once

#include "hal/cim/cim_device.h"

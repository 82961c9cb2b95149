// The vendor's on-premises terminal (qboson+http://, qboson+https://) through libcurl: seconds a
// job, for what it is worth. Login, upload of the CSV matrix, submit exactly once, poll with
// back-off, fetch, delete. As far as public: see hal/emulator/http_terminal.cpp for what had to be
// assumed.
//
//   qboson+http://HOST:PORT?user=NAME&password_file=FILE
//     [&machine_id=ID][&ancillas=N][&timeout_ms=N]
//
// The password comes from the file's first line or the environment variable QAMA_QBOSON_PASSWORD.
// Neither it nor a token ever enters a message. Plain HTTP is refused off loopback.
#pragma once

#include "hal/cim/cim_device.h"

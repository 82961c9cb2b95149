// The vendor's cloud (qboson-cloud://, qboson-cloud+http://) through libcurl. A job takes seconds
// to minutes. The device logs in with a user id and an SDK code, submits a job's matrix as CSV
// exactly once, polls with growing pauses and fetches the answer. Only a part of the vendor's
// interface is public; hal/emulator/http_cloud.cpp lists what is assumed.
//
//   qboson-cloud://HOST[:PORT]?user_id_file=FILE&sdk_code_file=FILE     HTTPS
//   qboson-cloud+http://HOST:PORT?...                                   plain, loopback only
//   options: login_host=HOST[:PORT] (default: the same), ca=FILE (who signs the certificates;
//   default: the system's authorities), machine=NAME (default CPQC-550), spins=N (default 550),
//   ancillas=N (0: automatic), in_flight=N (1 to 64, default 4), timeout_ms=N (of a job without
//   deadline, default 300000), insecure_permissions=1
//
// User id and SDK code are the first lines of files that their owner alone may use. Neither they
// nor a token ever enter a message.
#pragma once

#include "hal/cim/cim_device.h"

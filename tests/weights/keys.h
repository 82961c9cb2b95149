// Ed25519 keys for tests of signatures, made by OpenSSL. Everybody knows them.
#pragma once

namespace qama::test {

inline constexpr char kSecretKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEICnbCSW2CH6t6PtiNijZ+YEgKDPscskU5eku64uAtCMU\n"
    "-----END PRIVATE KEY-----\n";
inline constexpr char kPublicKey[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAzR2MdAO6I5LeFk2Tt38mZUKel3nlpd6elHUBDFKVwyY=\n"
    "-----END PUBLIC KEY-----\n";
inline constexpr char kOtherPublicKey[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAIKA7FcWG1PEUJhHQTpWAoNUVDVleH5PTmEuEFeH5p1I=\n"
    "-----END PUBLIC KEY-----\n";

}  // namespace qama::test

// A static program that does nothing: what a process needs before it does anything, and an emulator's own memory.
#include <cstdio>

int main() { return std::puts("nothing") < 0 ? 1 : 0; }

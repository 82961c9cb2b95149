/* Plugin for qemu's user-mode emulator: counts the instructions that a program executed, in all and
 * by function.
 *
 *   cc -shared -fPIC -O2 -o count_instructions.so count_instructions.c
 *   qemu-aarch64 -plugin ./count_instructions.so,top=20,blocks=10 -d plugin PROGRAM ...
 *
 * Prints (with -d plugin, to stderr) `instructions TOTAL`; with top=N the N functions with the most
 * as `function COUNT NAME`, as far as the program's symbols name them; with blocks=N the N
 * translated blocks with the most as `block EXECUTIONS INSTRUCTIONS ADDRESS NAME CODE`, the code as
 * hexadecimal bytes in the order of memory. Counts are exact for one thread; no time is measured,
 * because an emulator has none.
 *
 * Debian 12 has no package with qemu-plugin.h, so what is used of that interface (version 1,
 * qemu 4.2 to 9) is declared here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void (*qemu_plugin_vcpu_tb_trans_cb_t)(qemu_plugin_id_t id, struct qemu_plugin_tb* block);
typedef void (*qemu_plugin_udata_cb_t)(qemu_plugin_id_t id, void* data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           qemu_plugin_vcpu_tb_trans_cb_t call);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb* block, int op, void* to,
                                              uint64_t by);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, qemu_plugin_udata_cb_t call, void* data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb* block);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* insn);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index);
const char* qemu_plugin_insn_symbol(const struct qemu_plugin_insn* insn);
void qemu_plugin_outs(const char* text);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

enum { kBuckets = 65536 };
struct Function {
  char* name;
  uint64_t count;
};
/* One counter a name; open addressing. The last bucket takes what finds no room. */
static struct Function functions[kBuckets];
static unsigned long shown;

/* One counter an address and length of a block; the same open addressing. */
struct Block {
  const char* name;
  unsigned char* code;
  uint64_t address;
  uint64_t instructions;
  uint64_t bytes;
  uint64_t count;
};
static struct Block blocks[kBuckets];
static unsigned long blocks_shown;

static struct Function* function_of(const char* name) {
  uint32_t hash = 2166136261U;
  for (const char* c = name; *c != '\0'; ++c) hash = (hash ^ (unsigned char)*c) * 16777619U;
  for (uint32_t tried = 0; tried < kBuckets - 1; ++tried) {
    struct Function* f = &functions[(hash + tried) % (kBuckets - 1)];
    if (f->name == NULL) f->name = strdup(name);
    if (f->name != NULL && strcmp(f->name, name) == 0) return f;
  }
  return &functions[kBuckets - 1];
}

static struct Block* block_of(struct qemu_plugin_tb* block, const char* name) {
  const uint64_t address = qemu_plugin_tb_vaddr(block);
  const size_t instructions = qemu_plugin_tb_n_insns(block);
  const uint64_t hash = (address / 4 + instructions) * 11400714819323198485ULL >> 32;
  for (uint32_t tried = 0; tried < kBuckets - 1; ++tried) {
    struct Block* b = &blocks[(hash + tried) % (kBuckets - 1)];
    if (b->instructions != 0) {
      if (b->address == address && b->instructions == instructions) return b;
      continue;
    }
    for (size_t i = 0; i < instructions; ++i)
      b->bytes += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(block, i));
    b->code = malloc(b->bytes);
    if (b->code == NULL) break;
    size_t at = 0;
    for (size_t i = 0; i < instructions; ++i) {
      const struct qemu_plugin_insn* insn = qemu_plugin_tb_get_insn(block, i);
      memcpy(b->code + at, qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
      at += qemu_plugin_insn_size(insn);
    }
    b->name = name;
    b->address = address;
    b->instructions = instructions;
    return b;
  }
  return NULL;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
  (void)id;
  const char* name = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
  struct Function* f = function_of(name == NULL ? "(no symbol)" : name);
  qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &f->count,
                                           qemu_plugin_tb_n_insns(block));
  if (blocks_shown == 0) return;
  struct Block* b = block_of(block, f->name == NULL ? "(others)" : f->name);
  if (b != NULL)
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &b->count, 1);
}

static int by_work(const void* a, const void* b) {
  const uint64_t x = ((const struct Block*)a)->count * ((const struct Block*)a)->instructions;
  const uint64_t y = ((const struct Block*)b)->count * ((const struct Block*)b)->instructions;
  return x < y ? 1 : x > y ? -1 : 0;
}

static void print_blocks(void) {
  qsort(blocks, kBuckets, sizeof blocks[0], by_work);
  for (unsigned long i = 0; i < blocks_shown && i < kBuckets && blocks[i].count > 0; ++i) {
    const struct Block* b = &blocks[i];
    char* line = malloc(600 + 2 * b->bytes);
    if (line == NULL) return;
    int at = snprintf(line, 600, "block %" PRIu64 " %" PRIu64 " %" PRIx64 " %.400s ", b->count,
                      b->instructions, b->address, b->name);
    for (uint64_t k = 0; k < b->bytes; ++k) at += sprintf(line + at, "%02x", b->code[k]);
    sprintf(line + at, "\n");
    qemu_plugin_outs(line);
    free(line);
  }
}

static int by_count(const void* a, const void* b) {
  const uint64_t x = ((const struct Function*)a)->count;
  const uint64_t y = ((const struct Function*)b)->count;
  return x < y ? 1 : x > y ? -1 : 0;
}

static void finished(qemu_plugin_id_t id, void* data) {
  (void)id;
  (void)data;
  uint64_t total = 0;
  for (int i = 0; i < kBuckets; ++i) total += functions[i].count;
  char line[512];
  snprintf(line, sizeof line, "instructions %" PRIu64 "\n", total);
  qemu_plugin_outs(line);
  if (blocks_shown > 0) print_blocks();
  if (shown == 0) return;
  qsort(functions, kBuckets, sizeof functions[0], by_count);
  for (unsigned long i = 0; i < shown && i < kBuckets && functions[i].count > 0; ++i) {
    snprintf(line, sizeof line, "function %" PRIu64 " %.400s\n", functions[i].count,
             functions[i].name == NULL ? "(others)" : functions[i].name);
    qemu_plugin_outs(line);
  }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
  (void)info;
  for (int i = 0; i < argc; ++i) {
    if (strncmp(argv[i], "top=", 4) == 0) shown = strtoul(argv[i] + 4, NULL, 10);
    if (strncmp(argv[i], "blocks=", 7) == 0) blocks_shown = strtoul(argv[i] + 7, NULL, 10);
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, finished, NULL);
  return 0;
}

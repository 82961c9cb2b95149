# Sourced by the scripts beside it: reads `targets`.
# shellcheck shell=bash disable=SC2034  # whoever sources it uses them
targets_file=$(dirname "${BASH_SOURCE[0]}")/targets

# Sets target_name, _triplet, _elf, _debian, _suite, _qemu and _cores from the first line whose word in that place is
# $2; fails if no line has it.
target_where() {
  local line
  while read -r -a line; do
    [[ ${line[0]:-#} != '#'* && ${line[$1]} == "$2" ]] || continue
    target_name=${line[0]} target_triplet=${line[1]} target_elf=${line[2]} target_debian=${line[3]}
    target_suite=${line[4]} target_qemu=${line[5]} target_cores=${line[6]}
    return 0
  done <"$targets_file"
  return 1
}
target_of_name() { target_where 0 "$1"; }
target_of_triplet() { target_where 1 "$1"; }
target_of_elf() { target_where 2 "$1"; }
target_of_debian() { target_where 3 "$1"; }
# All words in one place of the lines, in one line.
targets_words() { awk -v at="$(($1 + 1))" '!/^#/ && NF { printf "%s%s", sep, $at; sep = " " }' "$targets_file"; }
